/** The account: what the customer has, in plain words, and what to do where something is not as it should be. */

import { begin, buyButton, day, el, facts, find, link, moment, money, offerNames, paidup, redraw, show, signInButton } from "./page.js";
import { missing } from "./missing.js";
import { token } from "./session.js";

/** A pass's status as people say it: [label, tone, what it means for the customer]. */
const STATUS = {
  active: ["Active", "good", ""],
  trialing: ["Free trial", "good", "Nothing is charged until the trial ends."],
  past_due: ["Payment overdue", "warn", "The last payment did not go through. You keep your access while it is tried again."],
  pending: ["Waiting for payment", "wait", "Your bank has not confirmed it yet. It turns active by itself."],
  paused: ["Paused", "wait", "It starts again when you resume it."],
  unpaid: ["Unpaid", "bad", "The renewal was not paid, so access has ended."],
  failed: ["Payment failed", "bad", "Nothing was bought. You can try again in the shop."],
  disputed: ["On hold", "warn", "Your bank questions this payment. It is on hold until that is settled."],
  charged_back: ["Taken back", "bad", "Your bank took the payment back, so access has ended."],
  refunded: ["Refunded", "wait", "The money was sent back to you."],
  canceled: ["Cancelled", "wait", "It does not renew any more."],
  ended: ["Ended", "wait", "You can buy it again in the shop."],
};
const KINDS = { pass: "Pass", subscription: "Subscription", live_session: "Live session" };

begin(async () => {
  if (!token()) return show(find("#content"), stranger());
  show(find("#missing"), missing(() => redraw(draw)));
  return draw();
});

async function draw() {
  const [account, name] = await Promise.all([paidup.account(), offerNames()]);
  show(find("#open"), account.checkout?.url ? openCheckout(account.checkout, name) : null);
  const usable = new Map(account.access.map((access) => [access.pass_id, access]));
  const passes = account.passes.map((pass) => card(pass, usable.get(pass.pass_id), name));
  show(find("#content"), passes.length ? el("ul", { class: "passes" }, passes) : nothing());
}

function card(pass, access, name) {
  const [label, tone, meaning] = STATUS[pass.status] ?? [pass.status, "wait", ""];
  return el(
    "li",
    { class: "card pass" },
    el("p", { class: "kind" }, KINDS[pass.kind] ?? pass.kind),
    el("h2", {}, name(pass.offer_id)),
    el("p", { class: `status ${tone}` }, label),
    meaning ? el("p", { class: "muted" }, meaning) : null,
    facts([
      pass.amount != null && ["Price", money(pass.amount, pass.currency)],
      access && (access.until ? ["Valid until", day(access.until)] : ["Valid", "without an end"]),
    ]),
  );
}

function openCheckout(checkout, name) {
  return el(
    "section",
    { class: "card aside", "aria-labelledby": "open-title" },
    el("h2", { id: "open-title" }, `You were buying ${name(checkout.offer_id)}`),
    el("p", { class: "muted" }, `The payment page stays open until ${moment(checkout.expires_at)}.`),
    el("div", { class: "actions" }, link("Continue to payment", checkout.url, "primary")),
  );
}

function nothing() {
  return el(
    "section",
    { class: "card empty" },
    el("h2", {}, "Nothing here yet"),
    el("p", { class: "muted" }, "What you buy shows up here within seconds."),
    el("div", { class: "actions" }, link("Go to the shop", "/", "primary")),
  );
}

function stranger() {
  return el(
    "section",
    { class: "card empty" },
    el("h2", {}, "Sign in to see your passes"),
    el("p", { class: "muted" }, "Use the address that you bought with."),
    el("div", { class: "actions" }, signInButton()),
  );
}
