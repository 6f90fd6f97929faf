/** The account: what the customer has, in plain words, and what to do where something is not as it should be. */

import { openBooking, pastBookings } from "./bookings.js";
import { showIn, standing } from "./checkouts.js";
import {
  announce,
  begin,
  el,
  facts,
  find,
  forget,
  link,
  offerNames,
  paidup,
  problem,
  redraw,
  remembered,
  show,
  signInButton,
} from "./page.js";
import { missing } from "./missing.js";
import { token } from "./session.js";
import { KINDS, STATUS, meaning, purchaseFacts } from "./words.js";

const LOOK_EVERY_MS = 10_000;

/** What the page shows now, so that looking again moves nothing that stayed as it was. */
let shown = "";

/** Whether something will move on without the customer: a booking that waits, money on its way. */
let moving = false;

/** What gives an offer's name, asked for once. */
let names;

begin(async () => {
  shown = "";
  if (!token()) return show(find("#content"), stranger());
  show(find("#missing"), missing(() => redraw(drawAnew)));
  await draw();
  keepLooking();
  return undefined;
});

async function drawAnew() {
  shown = "";
  await draw();
}

async function draw() {
  names ??= offerNames();
  let [account, bookings, name] = await Promise.all([paidup.account(), past(), names]);
  const checkoutId = account.checkout?.checkout_id ?? remembered()?.checkoutId;
  const story = checkoutId ? await standing(checkoutId) : null;
  const purchase = (story?.instead ?? story)?.purchase;
  if (purchase && !account.purchases.some((one) => one.purchase_id === purchase.purchase_id)) {
    // The payment was found by asking for the checkout just now, after the account had been read.
    [account, bookings] = await Promise.all([paidup.account(), past()]);
  }
  const partly = !Array.isArray(bookings) || (checkoutId && !story);
  if (shown && partly) return; // what is shown already is better than a part of it
  moving = isMoving(account, bookings);
  const now = fingerprint(account, bookings, story);
  if (now === shown) return;
  shown = now;
  showBooking(account, name);
  showCheckout(story, name);
  const purchases = account.purchases.map((purchase) => card(purchase, name, account.purchases));
  show(find("#content"), purchases.length ? el("ul", { class: "passes" }, purchases) : nothing());
  show(find("#past"), Array.isArray(bookings) ? pastBookings(bookings, account, name) : problem(bookings));
}

/** The customer's bookings, or why they cannot be shown: the rest of the account does not wait for them. */
const past = () => paidup.bookings({ limit: 50 }).then(({ bookings }) => bookings, (failure) => failure);

function fingerprint(...parts) {
  return JSON.stringify(parts, (key, value) => (key === "remaining_s" ? undefined : value));
}

function isMoving({ booking, purchases }, bookings) {
  const expiring = Array.isArray(bookings) && bookings.some((one) => one.status === "expired" && !one.ended_at);
  return Boolean(booking) || expiring || purchases.some(({ status }) => ["pending", "refunding"].includes(status));
}

async function keepLooking() {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    if (!moving || document.visibilityState !== "visible") continue;
    await draw().catch(() => {}); // a look that fails changes nothing; the next one is near
  }
}

function showBooking({ booking }, name) {
  const place = find("#booking");
  const was = place.dataset.status;
  const hadFocus = place.contains(document.activeElement);
  place.dataset.status = booking?.status ?? "";
  show(place, booking ? openBooking(booking, name, draw) : null);
  if (hadFocus) (place.querySelector("h2") ?? find("#main")).focus();
  if (was === "waiting" && booking?.status === "live") announce("Your live session was accepted.");
  if (was && !booking) announce("Your live session is over. What became of it is below.");
}

function showCheckout(story, name) {
  const done = (story?.instead ?? story)?.next === "done";
  if (done) forget(story.checkout_id);
  const place = find("#open");
  const hadFocus = place.contains(document.activeElement);
  if (!story || done) show(place);
  else showIn(place, story, name);
  if (hadFocus) (place.querySelector("h2") ?? find("#main")).focus();
}

function card(purchase, name, purchases) {
  const [label, tone] = STATUS[purchase.status] ?? [purchase.status, "calm"];
  const means = meaning(purchase, name, purchases);
  return el(
    "li",
    { class: "card pass" },
    el("p", { class: "kind" }, KINDS[purchase.kind] ?? purchase.kind),
    el("h2", {}, name(purchase.offer_id)),
    el("p", { class: `status ${tone}` }, label),
    means ? el("p", { class: "muted" }, means) : null,
    facts(purchaseFacts(purchase)),
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
