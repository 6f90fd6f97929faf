/** For those who give live sessions: who waits to be accepted, and the sessions that they accepted here. */

import { announce, begin, button, el, find, offerNames, paidup, redraw, show, signInButton } from "./page.js";
import { Problem } from "./paidup.js";
import { roles, token, who } from "./session.js";
import { lasts, moment } from "./words.js";

const LOOK_EVERY_MS = 10_000;

/** What was accepted in this browser is kept here, by who accepted it: the API lists only what waits. */
const place = () => `paidup.accepted.${who()}`;

begin(async () => {
  if (!token()) {
    return show(find("#content"), only("Sign in to see who waits", "This page is for those who give live sessions.", signInButton()));
  }
  if (!roles().includes("provider")) {
    return show(find("#content"), only("This page is for those who give live sessions", "Your own sessions are in your account."));
  }
  await draw();
  keepLooking();
  return undefined;
});

async function draw() {
  const [{ bookings, next }, name] = await Promise.all([paidup.bookings({ status: "waiting" }), offerNames()]);
  drawOwn(name);
  const more = next ? el("p", { class: "muted" }, "More are waiting behind these.") : null;
  const list = el(
    "ul",
    { class: "bookings" },
    bookings.map((one) => waiting(one, name)),
  );
  show(find("#content"), bookings.length ? [list, more] : only("Nobody waits", "This page looks again by itself."));
}

/** Look again every few seconds, but never while somebody is about to press something. */
async function keepLooking() {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    const busy = find("#content").contains(document.activeElement) || find("#content [role=alert]");
    if (document.visibilityState === "visible" && !busy) await redraw(draw);
  }
}

function waiting(booking, name) {
  const accept = async () => {
    try {
      const accepted = await paidup.acceptBooking(booking.booking_id);
      keep([...kept(), accepted]);
      announce("It is yours.");
    } finally {
      drawOwn(name);
    }
    await draw();
    find("#own h2")?.focus();
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
  const own = kept();
  show(
    find("#own"),
    own.length
      ? el(
          "section",
          { class: "past", "aria-labelledby": "own-title" },
          el("h2", { id: "own-title", tabindex: "-1" }, "Yours"),
          el(
            "ul",
            { class: "bookings" },
            own.map((one) => live(one, name)),
          ),
        )
      : null,
  );
}

function live(booking, name) {
  const end = (call, said) => async () => {
    await call(booking.booking_id).catch(gone);
    keep(kept().filter((one) => one.booking_id !== booking.booking_id));
    announce(said);
    drawOwn(name);
    find("#main").focus();
  };
  const called = `${name(booking.offer_id)}, accepted ${moment(booking.accepted_at)}`;
  return el(
    "li",
    { class: "card" },
    el("p", { class: "strong" }, name(booking.offer_id)),
    el("p", { class: "muted" }, `Accepted ${moment(booking.accepted_at)}.`),
    el(
      "div",
      { class: "actions" },
      button("It took place", "Finishing…", end(paidup.finishBooking, "The session is finished."), { name: `It took place: ${called}` }),
      button("Cancel it", "Cancelling…", end(paidup.cancelBooking, "The session is cancelled. The buyer’s money goes back."), {
        kind: "",
        name: `Cancel ${called}`,
      }),
    ),
  );
}

/** One that ended some other way meanwhile is out of the list all the same. */
function gone(failure) {
  if (!(failure instanceof Problem) || ![404, 409].includes(failure.status)) throw failure;
}

const kept = () => JSON.parse(localStorage.getItem(place()) ?? "[]");
const keep = (bookings) => localStorage.setItem(place(), JSON.stringify(bookings));

function only(title, text, way = null) {
  return el(
    "section",
    { class: "card empty" },
    el("h2", {}, title),
    el("p", { class: "muted" }, text),
    way ? el("div", { class: "actions" }, way) : null,
  );
}
