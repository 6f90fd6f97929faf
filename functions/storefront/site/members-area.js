/** What members see. The page opens when access begins and closes when it ends, in every tab, without being loaded anew. */

import { announce, begin, button, el, facts, find, link, offerNames, paidup, problem, session, show, signInButton, watchConnection } from "./page.js";
import { day, many } from "./words.js";

/** How soon a look that failed is tried again. */
const AGAIN_MS = 10_000;

/** What is shown now, so that the same is not drawn twice. */
let shown = "";

/** Counts the looks: an answer that a newer look has overtaken is not shown. */
let turn = 0;

begin(async () => {
  if (!session.isSignedIn) return stranger();
  await look();
  watchConnection();
  paidup.onBilling(look);
  return undefined;
});

/** Look whether the page is open: the API decides, by the billing token. */
async function look() {
  turn += 1;
  const own = turn;
  const name = offerNames();
  if (paidup.access?.length === 0) return closed();
  try {
    const response = await paidup.authorizedFetch("/members");
    if (own !== turn) return undefined;
    if (response.ok) return open((await response.json()).access, await name);
    if (response.status === 403) return closed();
    throw new Error(`GET /members answered ${response.status}`);
  } catch (failure) {
    if (own !== turn) return undefined;
    if (!failure.needsSignIn) lookLater(own);
    if (shown === "open" || shown === "problem") return undefined; // it stays so until somebody says otherwise
    const again = button("Try again", "Looking…", look);
    return draw("problem", "Members", [], problem(failure, { ways: [again] }));
  }
}

/** Look again, if nothing newer is looked at by then and somebody can see it. */
function lookLater(own) {
  setTimeout(() => own === turn && (document.hidden ? lookLater(own) : look()), AGAIN_MS);
}

function open(access, name) {
  const until = (one) => (one.until ? `until ${day(one.until - 1)}` : "without an end");
  const has = facts(access.map((one) => [many(one.quantity ?? 1, name(one.offer_id)), until(one)]));
  const text = ["This page is open as long as you have one of these. It closes by itself when the last of them ends."];
  draw("open", "Welcome, member", text, has, el("div", { class: "actions" }, link("See your account", "/account")));
}

function closed() {
  const text = ["This page is for members. It opens by itself, in every window, as soon as your purchase is paid."];
  draw("closed", "Members only", text, el("div", { class: "actions" }, link("Go to the shop", "/", "primary"), link("Your account", "/account")));
}

function stranger() {
  draw("stranger", "Members only", ["Sign in to see what is here for you."], el("div", { class: "actions" }, signInButton()));
}

/** Show *state* under *title*. Who listens hears of it, and who looked at the page before finds the focus on its title. */
function draw(state, title, text, ...more) {
  const wasOther = shown !== "" && shown !== state;
  shown = state;
  const heading = el("h1", { tabindex: "-1" }, title);
  const sign = state === "open" ? "done" : "calm";
  show(
    find("#content"),
    el("section", { class: `card members ${sign}` }, heading, text.map((line) => el("p", { class: "muted" }, line)), more),
  );
  if (!wasOther) return;
  announce(`${title}. ${text.join(" ")}`);
  heading.focus();
}
