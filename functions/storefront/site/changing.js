/** Changing a subscription: choose, see what is due now and then, confirm. */

import { button, el, facts, link, paidup, portalButton, show } from "./page.js";
import { Problem } from "./paidup.js";
import { hasSeats } from "./plans.js";
import { day, every, many, money } from "./words.js";

/**
 * The panel in which *purchase* is changed to one of *offers*.
 *
 * @param {string} options.to - the offer that is chosen already; what it costs shows at once
 * @param {(offerId: string) => string} options.name - gives an offer's name
 * @param {(after: object) => void} options.onChanged - called with the purchase as it is after the change
 * @param {() => void} options.onClose
 */
export function changePanel(purchase, offers, { to = "", name, onChanged, onClose }) {
  const id = `change-${purchase.purchase_id}`;
  const heading = el("h3", { id, tabindex: "-1" }, `Change ${name(purchase.offer_id)}`);
  const first = offers.find((one) => one.offer_id === to) ?? offers.find((one) => one.offer_id !== purchase.offer_id) ?? offers[0];
  const plan = el(
    "select",
    { onchange: () => chosen() },
    offers.map((one) => el("option", { value: one.offer_id, selected: one === first }, choice(one))),
  );
  const seats = el("input", { type: "number", min: 1, step: 1, required: true, value: purchase.quantity, inputmode: "numeric", oninput: () => forgetCosts() });
  const seatsField = el("label", { class: "field" }, "How many", seats);
  const costs = el("div", { class: "costs" });
  const offer = () => offers.find((one) => one.offer_id === plan.value);
  const wanted = () => ({
    offer_id: plan.value,
    ...(hasSeats(offer(), purchase) ? { quantity: quantityIn(seats) } : { quantity: purchase.quantity }),
  });
  const forgetCosts = () => {
    show(costs);
    look.classList.add("primary");
  };
  const chosen = () => {
    seatsField.hidden = !hasSeats(offer(), purchase);
    seats.max = offer().max_quantity;
    forgetCosts();
  };
  const look = button(
    "See what it costs",
    "Working it out…",
    async () => {
      const cart = wanted();
      if (cart.offer_id === purchase.offer_id && cart.quantity === purchase.quantity) throw unchanged(cart, name);
      const preview = await paidup.changePurchase(purchase.purchase_id, cart, { preview: true });
      show(costs, ...due(preview, offer(), confirmButton(purchase, cart, preview, name, onChanged)));
      look.classList.remove("primary"); // the button of the change is the one now
      costs.querySelector("h4").focus();
    },
    { name: `See what the change of ${name(purchase.offer_id)} costs`, ways: (failure) => waysOn(failure, purchase) },
  );
  chosen();
  const panel = el(
    "section",
    { class: "panel", "aria-labelledby": id },
    heading,
    el("label", { class: "field" }, "New plan", plan),
    seatsField,
    el("div", { class: "actions" }, look, button("Close", "Closing…", async () => onClose(), { kind: "", name: "Close without changing" })),
    costs,
  );
  return { panel, open: () => (to && offers.includes(first) && first.offer_id === to ? (heading.focus(), look.click()) : heading.focus()) };
}

const choice = (offer) => [offer.name, offer.amount == null ? null : `${money(offer)} / ${every(offer)}`].filter(Boolean).join(", ");

function quantityIn(input) {
  if (input.checkValidity()) return input.valueAsNumber;
  throw new Problem({ title: "That is not a number that can be had", detail: input.validationMessage, next: "Choose how many you want." });
}

const unchanged = ({ offer_id: offerId, quantity }, name) =>
  new Problem({
    title: "That is what you have",
    detail: `You have ${many(quantity, name(offerId))} already.`,
    next: "Choose another plan, or how many.",
  });

/** What a change costs, now and then; and the button that makes it. */
function due({ due_now: now, credited, next_amount: next, next_at: at, ...kept }, offer, confirm) {
  const cost = (amount) => money({ ...kept, amount });
  return [
    el("h4", { tabindex: "-1" }, `${many(kept.quantity, offer.name)}: what you pay`),
    facts(
      [
        ["Now", cost(now)],
        credited ? ["Kept for later bills", cost(credited)] : null,
        [`From ${day(at)}`, `${cost(next)} / ${every(offer)}`],
      ].filter(Boolean),
    ),
    now || credited ? el("p", { class: "muted small" }, "What is left of the time that you have paid for is taken off.") : null,
    el("div", { class: "actions" }, confirm),
  ];
}

/** One press is one change, however often it must be sent: its key is kept until an answer says that nothing was done. */
function confirmButton(purchase, cart, preview, name, onChanged) {
  let idempotencyKey = crypto.randomUUID();
  const label = preview.due_now ? `Change and pay ${money({ ...preview, amount: preview.due_now })}` : "Change now";
  const act = async () => {
    try {
      onChanged(await paidup.changePurchase(purchase.purchase_id, cart, { idempotencyKey }));
    } catch (failure) {
      if (!failure.mayPass) idempotencyKey = crypto.randomUUID();
      throw failure;
    }
  };
  return button(label, "Changing…", act, {
    name: `${label}: ${many(cart.quantity, name(cart.offer_id))}`,
    ways: (failure) => waysOn(failure, purchase),
  });
}

/** The ways on after a change was refused. */
export function waysOn({ slug }, { mend_url: mendUrl }) {
  if (slug === "change-declined") return [portalButton("Use another card")];
  if (slug === "change-impossible") return [portalButton("Put a card on file")];
  if (slug === "payment-due") return [mendUrl ? link("Pay the bill", mendUrl) : portalButton("Use another card")];
  if (slug === "subscription-ended" || slug === "being-refunded") return [link("Go to the shop", "/")];
  return [];
}
