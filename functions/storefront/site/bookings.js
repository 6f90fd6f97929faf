/** Live sessions of a customer: the one that waits or is under way, with what is left of its time, and those before. */

import { announce, button, buyButton, el, paidup } from "./page.js";
import { meaning, moment } from "./words.js";

/** When those who listen are told what is left, in minutes. */
const TOLD_AT = [10, 5, 2, 1];

/** A booking's status: [label, tone]. */
export const BOOKING = {
  waiting: ["Waiting to be accepted", "warn"],
  live: ["Accepted", "good"],
  finished: ["Took place", "calm"],
  cancelled: ["Cancelled", "calm"],
  expired: ["Nobody accepted it in time", "calm"],
};

/** What becomes of the money of a booking that does not take place. */
const IF_CALLED_OFF = {
  refunded: "your money goes back by itself",
  credited: "what you paid is kept, and your next booking is free of charge",
};

/**
 * The open booking as a section.
 *
 * @param {() => Promise<void>} onChange - called when it may have moved on
 */
export function openBooking(booking, name, onChange) {
  const waits = booking.status === "waiting";
  const heading = el("h2", { id: "booking-title", tabindex: "-1" }, name(booking.offer_id));
  const [label, tone] = BOOKING[booking.status];
  const cancel = async () => {
    const cancelled = await paidup.cancelBooking(booking.booking_id);
    announce(`The booking is cancelled: ${IF_CALLED_OFF[cancelled.if_called_off]}.`);
    await onChange();
  };
  return el(
    "section",
    { class: "card aside booking", "aria-labelledby": "booking-title" },
    el("p", { class: "kind" }, "Your live session"),
    heading,
    el("p", { class: `status ${tone}` }, label),
    waits ? countdown(booking.remaining_s, onChange) : null,
    el(
      "p",
      { class: "muted" },
      waits
        ? `Somebody has this long to accept it. If nobody does, or you cancel it, ${IF_CALLED_OFF[booking.if_called_off]}.`
        : "Somebody accepted it. Be there: it begins now.",
    ),
    waits ? el("div", { class: "actions" }, button("Cancel the booking", "Cancelling…", cancel, { kind: "" })) : null,
  );
}

/** What is left, counted down by the second for those who look, and told at a few moments to those who listen. */
function countdown(seconds, onEnd) {
  const clock = el("span", { role: "timer", "aria-label": "Time left to accept it" });
  const end = performance.now() + seconds * 1000;
  let told = Math.ceil(seconds / 60);
  const tick = () => {
    const leftMs = Math.max(0, end - performance.now());
    const left = Math.ceil(leftMs / 1000);
    clock.textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    const minutes = Math.ceil(left / 60);
    if (left && minutes < told && TOLD_AT.includes(minutes)) announce(`${minutes} min left to accept your live session.`);
    told = minutes;
    return leftMs - (left - 1) * 1000;
  };
  const goOn = () => {
    if (!clock.isConnected) return;
    const nextMs = tick();
    if (performance.now() < end) setTimeout(goOn, nextMs);
    else onEnd();
  };
  setTimeout(goOn, tick());
  return el("p", { class: "countdown" }, clock);
}

/** The bookings that are over, the newest first. `bookings` are all of the customer's, and `open` is the one that is not over. */
export function pastBookings(bookings, { purchases, booking: open }, name) {
  const over = bookings.filter(({ status }) => !["waiting", "live"].includes(status));
  if (!over.length) return null;
  const ofPurchase = (one) => purchases.find(({ purchase_id: purchaseId }) => purchaseId === one.purchase_id);
  const newest = (one) => bookings.find(({ purchase_id: purchaseId }) => purchaseId === one.purchase_id) === one;
  return el(
    "section",
    { class: "past", "aria-labelledby": "past-title" },
    el("h2", { id: "past-title" }, "Earlier live sessions"),
    el(
      "ul",
      { class: "bookings" },
      over.map((one) => past(one, newest(one) ? moneyOf(one, ofPurchase(one), purchases, name) : paidForTheNext(one), !open, name)),
    ),
  );
}

function past(booking, { text, free = false }, canBook, name) {
  const [label, tone] = BOOKING[booking.status];
  const offer = name(booking.offer_id);
  const again = () => buyButton("Book again, free of charge", booking.offer_id, { offer, name: `Book ${offer} again, free of charge` });
  return el(
    "li",
    {},
    el("p", { class: "strong" }, `${offer}, ${moment(booking.created_at)}`),
    el("p", { class: `status ${tone}` }, label),
    text ? el("p", { class: "muted small" }, text) : null,
    free && canBook ? el("div", { class: "actions" }, again()) : null,
  );
}

const paidForTheNext = ({ status }) => ({
  text: status === "finished" ? "" : "What you paid was kept, and paid for your next booking.",
});

/** What became of the money of the last booking of *purchase*: `{text, free}`; `free` where the next one costs nothing. */
function moneyOf(booking, purchase, purchases, name) {
  if (booking.status === "finished" || !purchase) return { text: "" };
  if (purchase.status !== "active") return { text: meaning(purchase, name, purchases) };
  if (booking.if_called_off === "credited") {
    return { text: `What you paid is kept for you: your next booking of ${name(booking.offer_id)} is free of charge.`, free: true };
  }
  return { text: booking.ended_at ? "What you paid is kept for you." : "Your money is on its way back. It shows here within a minute." };
}
