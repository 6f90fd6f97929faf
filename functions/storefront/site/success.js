/** After paying: watch the purchase until it is decided, and never leave the buyer without a way on. */

import {
  announce,
  begin,
  button,
  el,
  facts,
  find,
  forget,
  link,
  offerNames,
  paidup,
  remembered,
  show,
  signInButton,
} from "./page.js";
import { missing } from "./missing.js";
import { Problem } from "./paidup.js";
import { token } from "./session.js";
import { STATUS, passFacts, second } from "./words.js";

const TITLE = document.title;

/** What became of a purchase that brought no pass: [title, what happened, what to do]. */
const ENDINGS = {
  failed: [
    "The payment did not go through",
    "Your bank or card refused it. Nothing was bought.",
    "Try again, perhaps with another way to pay.",
  ],
  expired: [
    "The payment page has expired",
    "It was open for too long without a payment. Nothing was charged.",
    "Start again from the shop: it takes a moment.",
  ],
  replaced: [
    "You chose something else",
    "This payment page was closed when you opened another one. Nothing was charged on it.",
    "Go on with your newer choice: your account shows it.",
  ],
};

const toShop = (kind = "") => link("Back to the shop", "/", kind);
const toAccount = (kind = "") => link("See your account", "/account", kind);

begin(async () => {
  const checkoutId = new URLSearchParams(location.search).get("checkout_id") ?? remembered()?.checkoutId;
  if (!checkoutId) {
    const text = ["This address does not say which one.", "Everything that you have bought is in your account."];
    return outcome("Which purchase?", text, [toAccount("primary"), toShop()]);
  }
  return watch(checkoutId);
});

async function watch(checkoutId) {
  if (!token()) return refused(checkoutId, new Problem({ status: 401 }));
  const names = offerNames();
  const onAttempt = waiting();
  let look;
  try {
    look = await paidup.confirm(checkoutId, { onAttempt });
  } catch (failure) {
    return refused(checkoutId, failure);
  }
  if (look.state === "confirming") return undecided(checkoutId, look);
  forget(checkoutId);
  return look.state === "active" ? active(look, await names) : ended(look, await names);
}

/** Show that we are looking; returns what to call at each attempt. */
function waiting() {
  const counter = el("span", { class: "counter" });
  const bar = el("progress", { max: 15, value: 0, "aria-label": "Looking for your payment" });
  const note = el("p", { class: "muted" });
  const heading = el("h1", { tabindex: "-1" }, "Confirming your purchase… ", counter);
  show(find("#content"), el("div", { class: "sign wait", "aria-hidden": "true" }), heading, bar, note);
  document.title = TITLE;
  announce("Confirming your purchase…");
  return ({ attempt, tries, problem }) => {
    counter.textContent = `${attempt}/${tries}`;
    bar.max = tries;
    bar.value = attempt;
    note.textContent = problem
      ? `${problem.title}. We keep trying; your purchase is safe.`
      : "This takes a second or two. You may leave this page: nothing is lost.";
    if (attempt % 5 === 0) announce(`Still confirming, ${attempt} of ${tries}.`);
    if (problem) announce(note.textContent);
  };
}

function active({ pass, timeline }, name) {
  const bought = [["Bought", name(pass.offer_id)], ...passFacts(pass)];
  outcome("Your pass is active", ["Thank you. You can use it right away."], [toAccount("primary"), toShop()], {
    sign: "done",
    more: [facts(bought), story(timeline)],
  });
}

function ended({ state, pass, timeline = [] }, name) {
  const more = [pass ? facts([["Bought", name(pass.offer_id)], ...passFacts(pass)]) : null, story(timeline)];
  const replaced = timeline.some(({ what }) => what === "checkout invalidated");
  const [title, ...text] = ENDINGS[replaced ? "replaced" : state] ?? ENDINGS.failed;
  const ways = [toShop("primary"), toAccount()];
  if (!pass || pass.status === "failed") return outcome(title, text, ways, { sign: "no", more });
  const [label, , meaning] = STATUS[pass.status] ?? [pass.status, "", ""];
  return outcome(`This pass: ${label.toLowerCase()}`, [meaning], ways, { more });
}

/** What happened so far, for those who want to know. */
function story(timeline = []) {
  if (!timeline.length) return null;
  const lines = timeline.map(({ what, at, road, heard_at: heardAt }) => {
    const heard = heardAt > at ? `heard ${heardAt - at} s later by ${road}` : `heard at once by ${road}`;
    return el("li", {}, [second(at), what, ...(road ? [heard] : [])].join(" · "));
  });
  return el("details", { class: "story small" }, el("summary", {}, "What happened"), el("ol", {}, lines));
}

function undecided(checkoutId, { problem }) {
  const why = problem
    ? `${problem.title}. ${problem.detail}`
    : "Your bank is taking its time. That is rare, and no reason to pay again.";
  outcome(
    "Not confirmed yet",
    [why, "If you have paid, your pass appears in your account by itself."],
    [button("Check again", "Checking…", () => watch(checkoutId)), toAccount()],
    { after: missing(() => watch(checkoutId)) },
  );
}

/** The API does not tell: there is no sign-in, or this purchase is not in the account of this one. */
function refused(checkoutId, failure) {
  if (!(failure instanceof Problem)) throw failure;
  const text = [failure.detail, failure.next];
  if (failure.needsSignIn) {
    return outcome("Sign in to see your purchase", [...text, "Your purchase is safe."], [signInButton()]);
  }
  const retry = button("Check again", "Checking…", () => watch(checkoutId), { kind: "" });
  return outcome(failure.title, text, [toAccount("primary"), retry, toShop()]);
}

/** Show how it stands: a sign, a title that takes the focus, what to know, and the ways on. */
function outcome(title, text, ways, { sign = "calm", more = null, after = null } = {}) {
  const heading = el("h1", { tabindex: "-1" }, title);
  show(
    find("#content"),
    el("div", { class: `sign ${sign}`, "aria-hidden": "true" }),
    heading,
    text.map((line) => el("p", { class: "muted" }, line)),
    more,
    el("div", { class: "actions" }, ways),
    after,
  );
  document.title = `${title} · paidup`;
  announce(`${title}. ${text.join(" ")}`);
  heading.focus();
}
