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
  session,
  show,
  signInButton,
} from "./page.js";
import { goOnButton, standing, told } from "./checkouts.js";
import { missing } from "./missing.js";
import { Problem } from "./paidup.js";
import { lines } from "./story.js";
import { STATUS, meaning, purchaseFacts } from "./words.js";

const TITLE = document.title;

/** What is said of a purchase that can be used, by its kind. */
const ACTIVE = {
  live_session: "Your live session is paid for",
  pass: "Your pass is active",
  subscription: "Your subscription is active",
};

/** What became of the money of a purchase that does not count: its title. */
const MONEY = {
  refunding: "Your money is on its way back",
  refunded: "Your money was sent back",
  quarantined: "We are checking this payment",
  charged_back: "Your bank took this payment back",
  disputed: "This purchase is on hold",
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
  if (!session.isSignedIn) return refused(checkoutId, new Problem({ status: 401 }));
  const names = offerNames();
  const onProgress = waiting();
  let look;
  try {
    look = await paidup.confirm(checkoutId, { onProgress });
  } catch (failure) {
    return refused(checkoutId, failure);
  }
  if (look.state === "confirming") return undecided(checkoutId, look);
  forget(checkoutId);
  return look.state === "active" ? active(checkoutId, look, await names) : ended(checkoutId, look, await names);
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

function active(checkoutId, { purchase, timeline }, name) {
  const bought = [["Bought", name(purchase.offer_id)], ...purchaseFacts(purchase)];
  const before = new URLSearchParams(location.search).get("paid") === "before";
  const session = purchase.kind === "live_session";
  const thanks = before
    ? "You had paid for this already. Nothing more was charged."
    : session ? "Thank you." : "Thank you. You can use it right away.";
  const next = session ? ["Your account shows whether somebody has accepted it, and how long they have left."] : [];
  const other = el("p", { class: "muted" });
  outcome(ACTIVE[purchase.kind], [thanks, ...next], [toAccount("primary"), toShop()], {
    sign: "done",
    more: [other, facts(bought), story(timeline)],
  });
  return tellOfTheOther(checkoutId, name, other);
}

/** Tell what became of the choice that this one took the place of, or that took this one's: no money stays unexplained. */
async function tellOfTheOther(checkoutId, name, place) {
  const own = await standing(checkoutId);
  const otherId = own?.replaced_by ?? own?.replaced_checkout_id;
  const other = otherId && (await standing(otherId));
  const text = other && aboutTheOther(other, own, name);
  if (!text) return place.remove();
  place.textContent = text;
  return announce(`${find("h1").textContent}. ${text}`);
}

function aboutTheOther(other, own, name) {
  if (other.next === "recover") return `Your other choice, ${name(other.offer_id)}, is closed. Nothing was charged for it.`;
  if (other.purchase?.paid_before !== own.checkout_id) return "";
  return `You paid for ${name(other.offer_id)} as well. ${meaning(other.purchase, name, [own.purchase])}`;
}

async function ended(checkoutId, { state, purchase, timeline }, name) {
  if (purchase && purchase.status !== "failed") return without(purchase, timeline, name);
  const know = await standing(checkoutId);
  if (know?.next === "recover") {
    const { title, text, ways } = told(know, name);
    return outcome(title, text, [...ways, toAccount(), toShop()], { sign: "no", more: [story(timeline)] });
  }
  const [title, what] =
    state === "expired"
      ? ["The payment page has expired", "It was open for too long without a payment. Nothing was charged."]
      : ["The payment did not go through", "Your bank or card refused it. Nothing was bought."];
  return outcome(title, [what], [goOnButton(checkoutId), toAccount(), toShop()], { sign: "no", more: [story(timeline)] });
}

/** A purchase that was paid for and may not be used: what it is, and where the money is. */
async function without(purchase, timeline, name) {
  const purchases = purchase.paid_before ? (await paidup.account().catch(() => ({ purchases: [] }))).purchases : [];
  const [label] = STATUS[purchase.status] ?? [purchase.status];
  const more = [facts([["Bought", name(purchase.offer_id)], ...purchaseFacts(purchase)]), story(timeline)];
  const title = MONEY[purchase.status] ?? `This purchase: ${label.toLowerCase()}`;
  return outcome(title, [meaning(purchase, name, purchases)], [toAccount("primary"), toShop()], { more });
}

/** What happened so far, for those who want to know. */
function story(timeline = []) {
  if (!timeline.length) return null;
  return el("details", { class: "story small" }, el("summary", {}, "What happened"), lines(timeline));
}

function undecided(checkoutId, { problem }) {
  const why = problem
    ? `${problem.title}. ${problem.detail}`
    : "Your bank is taking its time. That is rare, and no reason to pay again.";
  outcome(
    "Not confirmed yet",
    [why, "If you have paid, your purchase appears in your account by itself."],
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
