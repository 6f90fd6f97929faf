/** For those who give live sessions: who waits to be accepted, and the sessions that they accepted. */

import { announce, begin, button, el, find, offerNames, paidup, problem, redraw, roles, session, show, signInButton } from "./page.js";
import { Problem } from "./paidup.js";
import { lasts, moment } from "./words.js";

const LOOK_EVERY_MS = 10_000;

/** What a buyer is given where a session that was accepted is cancelled. */
const IF_CALLED_OFF = {
  refunded: "The buyer’s money goes back.",
  credited: "What the buyer paid is kept for their next booking.",
};

/** The sessions that the visitor accepted and that are not over: as the API listed them, and as changed here since. */
let own = [];

begin(async () => {
  if (!session.isSignedIn) {
    return show(find("#content"), only("Sign in to see who waits", "This page is for those who give live sessions.", signInButton()));
  }
  if (!roles().includes("host")) {
    return show(find("#content"), only("This page is for those who give live sessions", "Your own sessions are in your account."));
  }
  await draw();
  keepLooking();
  return undefined;
});

async function draw() {
  const [waits, live, name] = await Promise.all([
    paidup.bookings({ status: "waiting" }),
    paidup.bookings({ status: "live", limit: 100 }),
    offerNames(),
  ]);
  own = live.bookings;
  drawOwn(name);
  drawWaiting(waits, name);
}

function drawWaiting({ bookings, next }, name) {
  const cards = bookings.map((one) => waiting(one, name));
  const more = next ? el("p", { class: "muted" }, "More are waiting behind these.") : null;
  show(
    find("#content"),
    cards.length ? listed("Waiting", "waiting-title", cards, more) : only("Nobody waits", "This page looks again by itself."),
  );
}

/** Look again every few seconds, but never while somebody is about to press something. */
async function keepLooking() {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    const busy = document.activeElement.matches("main button") || find("#content [role=alert], #own [role=alert]");
    if (document.visibilityState === "visible" && !busy) await redraw(draw);
  }
}

function waiting(booking, name) {
  const accept = async () => {
    show(find("#notice"));
    try {
      const accepted = await paidup.acceptBooking(booking.booking_id);
      own = [...own.filter((one) => one.booking_id !== accepted.booking_id), accepted];
      announce("It is yours.");
    } catch (failure) {
      if (!movedOn(failure)) throw failure;
      show(find("#notice"), problem(failure));
    }
    drawOwn(name);
    drawWaiting(await paidup.bookings({ status: "waiting" }), name);
    (find("#notice [role=alert]") ? find("#main") : find("#own h2")).focus();
  };
  return el(
    "li",
    { class: "card" },
    el("p", { class: "strong" }, name(booking.offer_id)),
    el("p", { class: "muted" }, `Since ${moment(booking.created_at)}. Ends in ${lasts(booking.remaining_s)}.`),
    el("div", { class: "actions" }, button("Accept", "Accepting…", accept, { name: `Accept ${name(booking.offer_id)}, since ${moment(booking.created_at)}` })),
  );
}

function drawOwn(name) {
  const cards = own.map((one) => live(one, name));
  show(find("#own"), cards.length ? listed("Yours", "own-title", cards) : null);
}

function listed(title, id, cards, more = null) {
  return el(
    "section",
    { class: "past", "aria-labelledby": id },
    el("h2", { id, tabindex: "-1" }, title),
    el("ul", { class: "bookings" }, cards),
    more,
  );
}

function live(booking, name) {
  const end = (call, said) => async () => {
    const ended = await call(booking.booking_id).catch(over);
    own = own.filter((one) => one.booking_id !== booking.booking_id);
    announce(ended ? said(ended) : "The session was over already.");
    drawOwn(name);
    find("#main").focus();
  };
  const finish = end(paidup.finishBooking, () => "The session is finished.");
  const cancel = end(paidup.cancelBooking, (ended) => `The session is cancelled. ${IF_CALLED_OFF[ended.if_called_off]}`);
  const called = `${name(booking.offer_id)}, accepted ${moment(booking.accepted_at)}`;
  return el(
    "li",
    { class: "card" },
    el("p", { class: "strong" }, name(booking.offer_id)),
    el("p", { class: "muted" }, `Accepted ${moment(booking.accepted_at)}.`),
    el(
      "div",
      { class: "actions" },
      button("It took place", "Finishing…", finish, { name: `It took place: ${called}` }),
      button("Cancel it", "Cancelling…", cancel, { kind: "", name: `Cancel ${called}` }),
    ),
  );
}

/** Whether a booking is not as it was shown: somebody else has it, or it is over. */
const movedOn = (failure) => failure instanceof Problem && [404, 409].includes(failure.status);

/** One that ended some other way meanwhile is out of the list all the same. */
function over(failure) {
  if (!movedOn(failure)) throw failure;
  return null;
}

function only(title, text, way = null) {
  return el(
    "section",
    { class: "card empty" },
    el("h2", {}, title),
    el("p", { class: "muted" }, text),
    way ? el("div", { class: "actions" }, way) : null,
  );
}
