/** The shop: what is for sale, and the way to pay for it. */

import { showIn, standing } from "./checkouts.js";
import {
  begin, buyButton, change, chosenQuantity, el, find, forget, ifInTime, link, paidup, purchase, remembered, session, show,
} from "./page.js";
import { choices, inTheWay, isChangeable, isOverdue } from "./plans.js";
import { KINDS, STATUS, every, many, money } from "./words.js";

/** How many of one pass are offered at once. */
const MOST = 10;

const NOTHING = { purchases: [], access: [], trials_used: [] };

begin(async () => {
  const known = session.isSignedIn ? remembered() : null;
  const [offers, account, story] = await Promise.all([
    paidup.offers(),
    session.isSignedIn ? ifInTime(paidup.account()) : null,
    known ? ifInTime(standing(known.checkoutId)) : null,
  ]);
  if (story) showUnderWay(story, offers);
  else show(find("#under-way"), underWay(offers));
  const has = account ?? NOTHING;
  show(find("#content"), offers.length ? el("ul", { class: "offers" }, offers.map((offer) => card(offer, has, offers))) : nothing());
});

function card(offer, { purchases, access, trials_used: used }, offers) {
  const running = inTheWay(offer, purchases, offers);
  const quantity = offer.kind === "pass" && !running ? quantityOf(offer) : null;
  const mark = marked(offer, running, access);
  return el(
    "li",
    { class: `card offer ${mark ? "has" : ""}` },
    mark,
    el("p", { class: "kind" }, KINDS[offer.kind] ?? offer.kind),
    el("h2", {}, offer.name),
    offer.description ? el("p", { class: "muted" }, offer.description) : null,
    el(
      "p",
      { class: "price" },
      offer.amount == null ? "The payment page shows the price" : el("strong", {}, money(offer)),
      offer.interval && offer.amount != null ? ` / ${every(offer)}` : null,
    ),
    el("p", { class: "terms" }, running ? instead(offer, running, offers) : terms(offer, used ?? [])),
    quantity ? el("label", { class: "quantity" }, "Quantity", quantity) : null,
    running ? toRunning(offer, running, offers) : buyButton("Buy", offer.offer_id, {
      name: `Buy ${offer.name}`,
      offer: offer.name,
      quantity: () => Number(quantity?.value ?? 1),
    }),
  );
}

/** The mark of an offer that the customer has: a subscription that runs, though it may be overdue, or what can be used now. */
function marked(offer, running, access) {
  if (running?.offer_id === offer.offer_id) {
    const [label, tone] = STATUS[running.status] ?? [running.status, "calm"];
    const isGood = tone === "good" && !running.cancel_at;
    const text = isGood ? "You have this" : `Yours: ${running.cancel_at ? "about to end" : label.toLowerCase()}`;
    return el("p", { class: `mark status ${isGood ? "good" : "warn"}` }, text);
  }
  const usable = access.filter((one) => one.offer_id === offer.offer_id && one.kind !== "live_session");
  if (!usable.length) return null;
  const counted = usable.find((one) => one.uses);
  return el("p", { class: "mark status good" }, counted ? `You have this: ${counted.uses_left} left` : "You have this");
}

/** Whether *running* can become *offer*. */
const canBecome = (running, offer, offers) => isChangeable(running) && choices(running, offers).includes(offer);

/** What the customer is told in place of the terms of a purchase. */
function instead(offer, running, offers) {
  if (running.offer_id === offer.offer_id) return "Your account shows when it renews, and lets you change or cancel it.";
  const has = nameOf(running.offer_id, offers);
  if (canBecome(running, offer, offers)) return `In place of ${has}. What is left of the time that you have paid for is taken off.`;
  if (isOverdue(running)) return `You have ${has}, and a bill of it is open. Pay that first.`;
  if (running.cancel_at) return `You have ${has}, which is about to end. Resume it, then change.`;
  return `You have ${has}, and one of the two at a time.`;
}

/** The way to change what runs, in place of a second purchase. A purchase that asked for a sign-in goes on there too. */
function toRunning(offer, running, offers) {
  const becomes = running.offer_id !== offer.offer_id && canBecome(running, offer, offers);
  const label = becomes ? "Change to this" : running.offer_id === offer.offer_id ? "Manage it" : "See your subscription";
  const way = link(label, change(running.purchase_id, becomes ? offer.offer_id : running.offer_id), becomes ? "primary" : "");
  way.setAttribute("aria-label", becomes ? `Change to ${offer.name}` : `${label}: ${nameOf(running.offer_id, offers)}`);
  way.dataset.goOn = `buy ${offer.offer_id}`;
  return way;
}

const nameOf = (offerId, offers) => offers.find((one) => one.offer_id === offerId)?.name ?? offerId;

/** A choice of how many, each with what it comes to; kept in this tab until it is bought, as a sign-in may come between. */
function quantityOf(offer) {
  const { offer_id: offerId, name, amount } = offer;
  const kept = chosenQuantity(offerId);
  const chosen = Number(sessionStorage.getItem(kept)) || 1;
  const options = Array.from({ length: Math.min(MOST, offer.max_quantity) }, (_, nth) => {
    const count = nth + 1;
    const label = count === 1 || amount == null ? `${count}` : `${count} for ${money({ ...offer, amount: count * amount })}`;
    return el("option", { value: count, selected: count === chosen }, label);
  });
  return el("select", { "aria-label": `Quantity of ${name}`, onchange: ({ target }) => sessionStorage.setItem(kept, target.value) }, options);
}

/** What is agreed on by buying. A trial is given once for each group: *used* are those of which it was given. */
function terms(offer, used) {
  const { kind, valid_days: valid, uses } = offer;
  const trial = used.includes(offer.group) ? null : offer.trial_days;
  if (kind === "subscription") return `${trial ? `${trial} days free, then renews` : "Renews"} every ${every(offer)}.`;
  const counted = uses ? `, for ${uses} ${uses === 1 ? "use" : "uses"}` : "";
  return `One payment${valid ? `, valid for ${valid} days` : ""}${counted}.`;
}

/** The purchase under way, as the API tells of it. */
function showUnderWay(story, offers) {
  if ((story.instead ?? story).next === "done") return forget(story.checkout_id);
  const name = (offerId) => nameOf(offerId, offers);
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
    el("h2", { id: "under-way-title" }, `You were buying ${many(known.quantity, offer.name)}`),
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
