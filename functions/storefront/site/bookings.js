/** Live sessions of a customer: the one that waits or is under way, with what is left of its time, and those before. */

import { announce, button, el, paidup } from "./page.js";
import { meaning, moment } from "./words.js";

/** When those who listen are told what is left, in minutes. */
const TOLD_AT = [10, 5, 2, 1];

/** A booking's status: [label, tone]. */
export const BOOKING = {
  waiting: ["Waiting to be accepted", "warn"],
  live: ["Accepted", "good"],
  finished: ["Took place", "calm"],
  cancelled: ["Cancelled", "calm"],
  lapsed: ["Nobody accepted it in time", "calm"],
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
    await paidup.cancelBooking(booking.booking_id);
    announce("The booking is cancelled. Your money goes back by itself.");
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
        ? "Somebody has this long to accept it. If nobody does, your money goes back by itself."
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

/** The bookings that are over, the newest first. */
export function pastBookings(bookings, passes, name) {
  const over = bookings.filter(({ status }) => !["waiting", "live"].includes(status));
  if (!over.length) return null;
  return el(
    "section",
    { class: "past", "aria-labelledby": "past-title" },
    el("h2", { id: "past-title" }, "Earlier live sessions"),
    el(
      "ul",
      { class: "bookings" },
      over.map((one) => past(one, passes, name)),
    ),
  );
}

function past(booking, passes, name) {
  const [label, tone] = BOOKING[booking.status];
  const became = moneyOf(booking, passes, name);
  return el(
    "li",
    {},
    el("p", { class: "strong" }, `${name(booking.offer_id)}, ${moment(booking.created_at)}`),
    el("p", { class: `status ${tone}` }, label),
    became ? el("p", { class: "muted small" }, became) : null,
  );
}

/** What became of the money of a booking that did not take place. */
function moneyOf(booking, passes, name) {
  if (booking.status === "finished") return "";
  const pass = passes.find((one) => one.pass_id === booking.pass_id);
  if (!pass) return "";
  if (pass.status !== "active") return meaning(pass, name, passes);
  if (!booking.ended_at) return "Your money is on its way back. It shows here within a minute.";
  return "What you paid is kept for you: book again in the shop, and nothing more is charged.";
}
