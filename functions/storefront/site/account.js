/** The account: what the customer has, in plain words, and what to do where something is not as it should be. */

import { begin, el, facts, find, link, offerNames, paidup, redraw, show, signInButton } from "./page.js";
import { missing } from "./missing.js";
import { token } from "./session.js";
import { KINDS, STATUS, moment, passFacts } from "./words.js";

begin(async () => {
  if (!token()) return show(find("#content"), stranger());
  show(find("#missing"), missing(() => redraw(draw)));
  return draw();
});

async function draw() {
  const [account, name] = await Promise.all([paidup.account(), offerNames()]);
  show(find("#open"), account.checkout?.url ? openCheckout(account.checkout, name) : null);
  const passes = account.passes.map((pass) => card(pass, name));
  show(find("#content"), passes.length ? el("ul", { class: "passes" }, passes) : nothing());
}

function card(pass, name) {
  const [label, tone, meaning] = STATUS[pass.status] ?? [pass.status, "calm", ""];
  return el(
    "li",
    { class: "card pass" },
    el("p", { class: "kind" }, KINDS[pass.kind] ?? pass.kind),
    el("h2", {}, name(pass.offer_id)),
    el("p", { class: `status ${tone}` }, label),
    meaning ? el("p", { class: "muted" }, meaning) : null,
    facts(passFacts(pass)),
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
