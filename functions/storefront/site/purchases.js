/** What a customer has, as cards: what it grants, how it stands, what comes next, and what can be done with it. */

import { changePanel, waysOn } from "./changing.js";
import { announce, button, el, facts, find, link, paidup, portalButton, show } from "./page.js";
import { choices, isChangeable, isOverdue, runs } from "./plans.js";
import { lines } from "./story.js";
import { KINDS, STATUS, day, left, many, meaning, moment, purchaseFacts } from "./words.js";

/** Up to how many uses are drawn one by one. */
const MOST_DRAWN = 20;

/** The statuses in which a customer can cancel and resume. */
const MANAGED = ["active", "trialing", "past_due", "unpaid", "paused"];

/**
 * The card of *purchase*.
 *
 * @param {object} known - `{account, offers, name}`: all that the customer has, and what is for sale
 * @param {(after: object, said: string) => void} onChanged - called with the purchase as it is after a change
 */
export function card(purchase, known, onChanged) {
  const { account, name } = known;
  const [label, tone] = STATUS[purchase.status] ?? [purchase.status, "calm"];
  const means = meaning(purchase, name, account.purchases);
  const seats = purchase.kind === "subscription" ? 1 : purchase.quantity;
  return el(
    "li",
    { class: "card pass", "data-purchase": purchase.purchase_id },
    el("p", { class: "kind" }, KINDS[purchase.kind] ?? purchase.kind),
    el("h2", { tabindex: "-1" }, many(seats, name(purchase.offer_id))),
    el("p", { class: `status ${tone}` }, label),
    means ? el("p", { class: "muted" }, means) : null,
    purchase.uses && purchase.uses_left ? usesLeft(purchase) : null,
    facts([...grants(purchase, known), ...purchaseFacts(purchase)]),
    toMend(purchase, name),
    help(purchase, account),
    runs(purchase) ? managing(purchase, known, onChanged) : null,
  );
}

/** What happened to a purchase, and what to tell support to be found by: the customer, and the end of the purchase's id. */
function help({ purchase_id: purchaseId }, { customer_id: customerId }) {
  const story = el("div", {}, el("p", { class: "muted" }, "Loading…"));
  const node = el(
    "details",
    { class: "story small" },
    el("summary", {}, "What happened"),
    story,
    el("p", {}, "Ask for help with this reference: ", el("code", {}, `${customerId}.${purchaseId.slice(-6)}`)),
  );
  const load = async () => {
    const { timeline } = await paidup.call("GET", `/subscription-status/${encodeURIComponent(purchaseId)}`);
    show(story, timeline.length ? lines(timeline, moment) : el("p", { class: "muted" }, "Nothing more is known of it."));
  };
  node.addEventListener("toggle", () => {
    if (node.open) load().catch(() => show(story, el("p", { class: "muted" }, "It cannot be shown now. Open it again in a moment.")));
  });
  return node;
}

/** What a subscription grants beside its plan: seats, add-ons, or another plan while a change is not paid. */
function grants(purchase, { account, name }) {
  if (purchase.kind !== "subscription") return [];
  const own = account.access.filter((one) => one.purchase_id === purchase.purchase_id);
  const others = own.filter((one) => one.offer_id !== purchase.offer_id).map((one) => many(one.quantity ?? 1, name(one.offer_id)));
  const hasPlan = own.length > others.length;
  return [
    purchase.quantity > 1 ? ["Seats", `${purchase.quantity}`] : null,
    others.length ? [hasPlan ? "Also included" : "For now you have", others.join(", ")] : null,
  ].filter(Boolean);
}

/** What is left of a pass, and what a host asks for when a use is taken. */
function usesLeft(purchase) {
  const dots = Array.from({ length: purchase.uses }, (_, nth) => el("span", { class: nth < purchase.uses_left ? "" : "used" }));
  return el(
    "div",
    { class: "uses" },
    el("p", { class: "strong" }, left(purchase)),
    purchase.uses <= MOST_DRAWN ? el("div", { class: "dots", "aria-hidden": "true" }, dots) : null,
    el("p", { class: "muted small" }, "Show this at the door: ", el("code", {}, purchase.purchase_id)),
  );
}

/** The ways to pay what is open, and why that is wanted. */
function toMend(purchase, name) {
  const { mend_url: mendUrl } = purchase;
  const called = name(purchase.offer_id);
  if (isOverdue(purchase)) {
    const pay = mendUrl ? link("Pay now", mendUrl, "primary") : null;
    pay?.setAttribute("aria-label", `Pay now for ${called}`);
    const card = portalButton("Use another card", { kind: mendUrl ? "" : "primary", name: `Use another card for ${called}` });
    return el("div", { class: "actions" }, pay, card);
  }
  if (!mendUrl || !runs(purchase)) return null;
  const approve = link("Approve the payment", mendUrl, "primary");
  return el(
    "div",
    { class: "waits" },
    el("p", {}, "Your bank wants you to approve a payment. Nothing changes until then."),
    el("div", { class: "actions" }, approve),
  );
}

/** The buttons of a subscription that runs, and the place in which a panel of theirs opens. */
function managing(purchase, known, onChanged) {
  if (!MANAGED.includes(purchase.status)) return null;
  const called = known.name(purchase.offer_id);
  const place = el("div", { class: "managing" });
  const plans = isChangeable(purchase) ? choices(purchase, known.offers) : [];
  const buttons = el(
    "div",
    { class: "actions" },
    plans.length ? button("Change plan", "Opening…", async () => openChange(place, purchase, known, onChanged), { kind: "", name: `Change ${called}`, goOn: `change ${purchase.purchase_id}` }) : null,
    purchase.cancel_at ? resumeButton(purchase, called, onChanged) : null,
    purchase.cancel_at ? null : button("Cancel", "Opening…", async () => openCancel(place, purchase, called, onChanged), { kind: "", name: `Cancel ${called}`, goOn: `cancel ${purchase.purchase_id}` }),
  );
  place.append(buttons);
  return place;
}

/** Open the panel that changes a subscription, *to* an offer where that is known; returns whether it can be changed. */
export function openChange(place, purchase, known, onChanged, to = "") {
  const offers = isChangeable(purchase) ? choices(purchase, known.offers) : [];
  if (!offers.length) return false;
  const said = (after) =>
    after.state === "pending"
      ? "Your bank wants you to approve the payment. Nothing changes until then."
      : `It is changed. You have ${many(after.quantity, known.name(after.offer_id))} now.`;
  const { panel, open } = changePanel(purchase, offers, {
    to,
    name: known.name,
    onChanged: (after) => onChanged(after, said(after)),
    onClose: closer(place, `Change ${known.name(purchase.offer_id)}`),
  });
  showPanel(place, panel);
  open();
  return true;
}

function openCancel(place, purchase, called, onChanged) {
  const id = `cancel-${purchase.purchase_id}`;
  const heading = el("h3", { id, tabindex: "-1" }, `Cancel ${called}?`);
  const close = closer(place, `Cancel ${called}`);
  const cancel = async () => {
    const after = await paidup.cancelPurchase(purchase.purchase_id);
    onChanged(after, after.cancel_at ? `It is cancelled. You have it until ${day(after.cancel_at - 1)}.` : "It is cancelled.");
  };
  const panel = el(
    "section",
    { class: "panel", "aria-labelledby": id },
    heading,
    el("p", { class: "muted" }, whenCancelled(purchase)),
    el(
      "div",
      { class: "actions" },
      button("Yes, cancel it", "Cancelling…", cancel, { name: `Yes, cancel ${called}`, ways: (failure) => waysOn(failure, purchase) }),
      button("Keep it", "Closing…", async () => close(), { kind: "", name: `Keep ${called}` }),
    ),
  );
  showPanel(place, panel);
  heading.focus();
}

/** Until when a subscription lasts that is cancelled now. */
function whenCancelled({ status, renews_at: renewsAt }) {
  if (!renewsAt || isOverdue({ status })) {
    return "It ends with its period, and does not renew any more. The bill that is open now may still be charged.";
  }
  const end = day(renewsAt - 1);
  if (status === "trialing") return `Your trial goes on until ${end}, and nothing is charged. Until then you can take this back.`;
  return `You can use it until ${end}, and nothing more is charged. Until then you can take this back.`;
}

const resumeButton = (purchase, called, onChanged) =>
  button(
    "Resume",
    "Resuming…",
    async () => onChanged(await paidup.resumePurchase(purchase.purchase_id), "It goes on, and renews as before."),
    { name: `Resume ${called}`, goOn: `resume ${purchase.purchase_id}`, ways: (failure) => waysOn(failure, purchase) },
  );

/** Show *panel* in place of the buttons, of which one card has one at a time. */
function showPanel(place, panel) {
  place.querySelector(":scope > .panel")?.remove();
  place.querySelector(":scope > .actions").hidden = true;
  place.append(panel);
}

/** What closes the panel in *place*, and gives the focus back to the button *name* that opened it. */
const closer = (place, name) => () => {
  place.querySelector(":scope > .panel").remove();
  const buttons = place.querySelector(":scope > .actions");
  buttons.hidden = false;
  [...buttons.children].find((one) => one.getAttribute("aria-label") === name)?.focus();
};

/** "Cards and invoices": every receipt, and the card that pays, on the payment provider's own page. */
export function billing() {
  return el(
    "section",
    { class: "missing", "aria-labelledby": "billing-title" },
    el("h2", { id: "billing-title" }, "Receipts and cards"),
    el("p", { class: "muted" }, "Each invoice and receipt, and the card that is charged, are on the payment provider’s page."),
    portalButton("Cards and invoices"),
  );
}
