/** After paying: watch the purchase until it is decided, and never leave the buyer without a way on. */

import {
  announce,
  begin,
  button,
  day,
  el,
  facts,
  find,
  forget,
  link,
  money,
  offerNames,
  paidup,
  remembered,
  show,
  signInButton,
} from "./page.js";
import { missing } from "./missing.js";
import { Problem } from "./paidup.js";
import { token } from "./session.js";

const TITLE = document.title;

/** What became of a purchase that is not active: [title, what happened, what to do]. */
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
  refunded: [
    "This purchase was refunded",
    "The money is on its way back to you. Banks take up to ten days to show it.",
    "You can buy again at any time.",
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
  if (look.state === "active") return active(look.pass ?? {}, await names);
  const [title, ...text] = ENDINGS[look.state];
  return outcome(title, text, [toShop("primary"), toAccount()], { sign: "no" });
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

function active(pass, name) {
  const bought = facts([
    pass.offer_id && ["Bought", name(pass.offer_id)],
    pass.amount != null && ["Paid", money(pass.amount, pass.currency)],
    pass.until && ["Valid until", day(pass.until)],
  ]);
  outcome("Your pass is active", ["Thank you. You can use it right away."], [toAccount("primary"), toShop()], {
    sign: "done",
    more: bought,
  });
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
