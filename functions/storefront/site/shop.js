/** The shop: what is for sale, and the way to pay for it. */

import { showIn, standing } from "./checkouts.js";
import { begin, buyButton, chosenQuantity, el, find, forget, link, paidup, purchase, remembered, show } from "./page.js";
import { token } from "./session.js";
import { KINDS, money } from "./words.js";

/** How many of one pass are offered at once. */
const MOST = 10;

begin(async () => {
  const offers = await paidup.offers();
  show(find("#content"), offers.length ? el("ul", { class: "offers" }, offers.map(card)) : nothing());
  const known = remembered();
  const story = known && token() ? await standing(known.checkoutId) : null;
  if (story) return showUnderWay(story, offers);
  return show(find("#under-way"), underWay(offers));
});

function card(offer) {
  const quantity = offer.kind === "pass" ? quantityOf(offer) : null;
  return el(
    "li",
    { class: "card offer" },
    el("p", { class: "kind" }, KINDS[offer.kind] ?? offer.kind),
    el("h2", {}, offer.name),
    offer.description ? el("p", { class: "muted" }, offer.description) : null,
    el(
      "p",
      { class: "price" },
      el("strong", {}, money(offer.amount, offer.currency)),
      offer.interval ? ` / ${offer.interval}` : null,
    ),
    el("p", { class: "terms" }, terms(offer)),
    quantity ? el("label", { class: "quantity" }, "Quantity", quantity) : null,
    buyButton("Buy", offer.offer_id, {
      name: `Buy ${offer.name}`,
      offer: offer.name,
      quantity: () => Number(quantity?.value ?? 1),
    }),
  );
}

/** A choice of how many, each with what it comes to; kept in this tab until it is bought, as a sign-in may come between. */
function quantityOf({ offer_id: offerId, name, amount, currency }) {
  const kept = chosenQuantity(offerId);
  const chosen = Number(sessionStorage.getItem(kept)) || 1;
  const options = Array.from({ length: MOST }, (_, nth) => {
    const many = nth + 1;
    const label = many === 1 ? "1" : `${many} for ${money(many * amount, currency)}`;
    return el("option", { value: many, selected: many === chosen }, label);
  });
  return el("select", { "aria-label": `Quantity of ${name}`, onchange: ({ target }) => sessionStorage.setItem(kept, target.value) }, options);
}

function terms({ kind, interval, trial_days: trial, valid_days: valid }) {
  if (kind === "subscription") return `${trial ? `${trial} days free, then renews` : "Renews"} every ${interval}.`;
  return valid ? `One payment, valid for ${valid} days.` : "One payment.";
}

/** The purchase under way, as the API tells of it. */
function showUnderWay(story, offers) {
  if ((story.instead ?? story).next === "done") return forget(story.checkout_id);
  const name = (offerId) => offers.find((one) => one.offer_id === offerId)?.name ?? offerId;
  if (story.next !== "pay") return showIn(find("#under-way"), story, name);
  showIn(find("#under-way"), story, name, link("I have paid", purchase(story.checkout_id)));
  const note = "You may choose something else below: it takes this one’s place, and nothing is charged for this one.";
  return find("#under-way section").append(el("p", { class: "muted small" }, note));
}

/** The purchase that was begun in this browser and is not decided yet, as far as the browser alone knows. */
function underWay(offers) {
  const known = remembered();
  const offer = offers.find((one) => one.offer_id === known?.offerId);
  if (!offer) return null;
  return el(
    "section",
    { class: "card aside", "aria-labelledby": "under-way-title" },
    el("h2", { id: "under-way-title" }, `You were buying ${known.quantity > 1 ? `${known.quantity} × ` : ""}${offer.name}`),
    el("p", { class: "muted" }, "Go on where you were. If you have paid already, see whether it arrived."),
    el(
      "div",
      { class: "actions" },
      buyButton("Continue to payment", offer.offer_id, {
        goOn: "continue",
        offer: offer.name,
        quantity: () => known.quantity,
      }),
      link("I have paid", purchase(known.checkoutId)),
    ),
  );
}

function nothing() {
  return el(
    "section",
    { class: "card empty" },
    el("h2", {}, "Nothing is for sale right now"),
    el("p", { class: "muted" }, "Please come back a little later. What you have bought is in your account."),
    el("div", { class: "actions" }, link("Your account", "/account")),
  );
}
