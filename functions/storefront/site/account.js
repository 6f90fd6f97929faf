/** The account: what the customer has, in plain words, and what to do where something is not as it should be. */

import { openBooking, pastBookings } from "./bookings.js";
import { showIn, standing } from "./checkouts.js";
import {
  announce, begin, catalogue, el, find, forget, link, paidup, problem, redraw, remembered, session, show, signInButton, watchConnection,
} from "./page.js";
import { missing } from "./missing.js";
import { isOverdue } from "./plans.js";
import { billing, card, openChange } from "./purchases.js";
import { day } from "./words.js";

const LOOK_EVERY_MS = 10_000;

/** What the page was opened for, or what the customer changed, may show a little later than the page: then look sooner. */
const LOOK_SOON_MS = 2_000;
const SOON_FOR_MS = 60_000;

/** What each place of the page shows now, so that looking again moves nothing that stayed as it was. */
const shown = new Map();

/** All that the customer has, and what is for sale: `{account, offers, name}`. */
let known = null;

/** Whether something will move on without the customer: a booking that waits, money on its way. */
let moving = false;

/** A purchase as it is after its customer changed it, until the account says the same: `{after, until}`, or null. */
let awaited = null;

/** Until when the page looks again soon (milliseconds of `performance.now`). */
let soonUntil = SOON_FOR_MS;

/** What is for sale, asked for until it is known. */
let sold;

/** Counts what was asked for and done: an answer that something newer has overtaken is not shown. */
let turn = 0;

/** How many looks are under way, and the newest version of the account that was told of. */
let drawing = 0;
let newest = 0;

begin(async () => {
  shown.clear();
  if (!session.isSignedIn) return show(find("#content"), stranger());
  await draw();
  show(find("#missing"), known.account.purchases.length ? billing() : null, missing(drawAnew));
  takeUpChange();
  keepLooking();
  watchConnection();
  paidup.onBilling((change) => {
    newest = change.billing_version;
    if (!drawing && isBehind()) look();
  });
  document.addEventListener("visibilitychange", look);
  return undefined;
});

async function drawAnew() {
  shown.clear();
  await redraw(draw);
}

/** Whether a look at what was told of is still to come: it may have failed, or nobody may have seen the page. */
const isBehind = () => newest > known.account.billing_version;

/** Look again for what is new, if anybody can see it. A look that fails changes nothing, and keepLooking() tries anew. */
const look = () => document.visibilityState === "visible" && draw().catch(() => {});

async function draw() {
  const told = newest;
  drawing += 1;
  try {
    await drawNow();
  } finally {
    drawing -= 1;
  }
  if (!drawing && newest > told && isBehind()) look();
}

async function drawNow() {
  turn += 1;
  const own = turn;
  sold ??= catalogue().then((all) => {
    if (!all.offers.length) sold = null;
    return all;
  });
  let [account, bookings, { offers, name }] = await Promise.all([paidup.account(), past(), sold]);
  const checkoutId = account.checkout?.checkout_id ?? remembered()?.checkoutId;
  const story = checkoutId ? await standing(checkoutId) : null;
  const purchase = (story?.instead ?? story)?.purchase;
  if (purchase && !account.purchases.some((one) => one.purchase_id === purchase.purchase_id)) {
    // The payment was found by asking for the checkout just now, after the account had been read.
    [account, bookings] = await Promise.all([paidup.account(), past()]);
  }
  if (known && own !== turn) return;
  const partly = !Array.isArray(bookings) || (checkoutId && !story);
  if (shown.size && partly) return; // what is shown already is better than a part of it
  if (known && !known.offers.length && offers.length) shown.clear(); // everything gets its name
  known = { account, offers, name };
  const held = isBusy();
  const isAwaited = showAwaited();
  moving = held || isAwaited || isMoving(account, bookings); // what is held back is shown by a later look
  drawWhere("#booking", [account.booking], () => showBooking(account, name));
  drawWhere("#open", [story], () => showCheckout(story, name));
  if (!held) drawPurchases();
  drawWhere("#past", [bookings, account.purchases], (place) =>
    show(place, Array.isArray(bookings) ? pastBookings(bookings, account, name) : problem(bookings)),
  );
}

/** Show what the customer asked for until the account says so, too; returns whether it does not yet. */
function showAwaited() {
  const { purchases } = known.account;
  const now = purchases.find((one) => one.purchase_id === awaited?.after.purchase_id);
  const says = (one) => [one.offer_id, one.quantity, Boolean(one.cancel_at)].join();
  if (!now || says(now) === says(awaited.after) || performance.now() > awaited.until) {
    awaited = null;
    return false;
  }
  known.account.purchases = purchases.map((one) => (one === now ? awaited.after : one));
  return true;
}

/** Draw one place of the page, unless it shows just this already. */
function drawWhere(selector, parts, act) {
  const now = JSON.stringify(parts, (key, value) => (key === "remaining_s" ? undefined : value));
  if (shown.get(selector) === now) return;
  shown.set(selector, now);
  act(find(selector));
}

function drawPurchases() {
  const { purchases, access } = known.account;
  drawWhere("#content", [purchases, access], (place) => {
    const giveBack = focusWithin(place);
    const cards = purchases.map((purchase) => card(purchase, known, onChanged));
    show(place, cards.length ? el("ul", { class: "passes" }, cards) : nothing());
    giveBack();
  });
}

/** What gives the focus back to where it was in *place*, in the same card, after that was drawn anew. */
function focusWithin(place) {
  const was = document.activeElement;
  const purchaseId = place.contains(was) && was.closest("[data-purchase]")?.dataset.purchase;
  if (!purchaseId) return () => {};
  const label = was.getAttribute("aria-label");
  return () => {
    const same = label && cardOf(purchaseId)?.querySelector(`[aria-label="${CSS.escape(label)}"]`);
    if (same) same.focus();
    else focusOn(purchaseId);
  };
}

/** Whether the customer is about to do something with a purchase: then the cards stay as they are. */
const isBusy = () => Boolean(find("#content .panel, #content .busy, #content .passes [role=alert]"));

/** Show a purchase as it is after its customer changed it, and then look at what else that moved. */
function onChanged(after, said) {
  turn += 1;
  soonUntil = performance.now() + SOON_FOR_MS;
  awaited = { after: { ...after }, until: soonUntil };
  showAwaited();
  shown.delete("#content"); // whatever is open there is done with
  drawPurchases();
  announce(said);
  focusOn(after.purchase_id);
  draw().catch(() => {}); // what was done is shown already
}

const cardOf = (purchaseId) => find(`[data-purchase="${CSS.escape(purchaseId)}"]`);

const focusOn = (purchaseId) => cardOf(purchaseId)?.querySelector("h2").focus();

/** Somebody comes from the shop to change what they have, or because they would have bought it a second time. */
function takeUpChange() {
  const asked = new URLSearchParams(location.search);
  const purchase = known.account.purchases.find((one) => one.purchase_id === asked.get("change"));
  if (asked.has("change")) history.replaceState(null, "", location.pathname);
  if (asked.has("refused")) show(find("#notice"), refusedSecond(purchase));
  if (!purchase) return;
  focusOn(purchase.purchase_id);
  const place = cardOf(purchase.purchase_id).querySelector(".managing");
  if (place && asked.get("to") !== purchase.offer_id) openChange(place, purchase, known, onChanged, asked.get("to") ?? "");
}

/** Why nothing was bought, and what to do instead. */
function refusedSecond(purchase) {
  const has = purchase ? `You have ${known.name(purchase.offer_id)} already` : "You have a subscription already";
  const instead = !purchase ? "" : isOverdue(purchase)
    ? "Pay its open bill, or use another card."
    : purchase.cancel_at
      ? `It ends on ${day(purchase.cancel_at - 1)}: resume it to keep it.`
      : "You can change it here.";
  return el("div", { class: "told", role: "status" }, el("p", {}, `${has}, so nothing was bought and nothing was charged. ${instead}`));
}

/** The customer's bookings, or why they cannot be shown: the rest of the account does not wait for them. */
const past = () => paidup.bookings({ limit: 50 }).then(({ bookings }) => bookings, (failure) => failure);

function isMoving({ booking, purchases }, bookings) {
  const expiring = Array.isArray(bookings) && bookings.some((one) => one.status === "expired" && !one.ended_at);
  const half = (one) => one.kind === "subscription" && isRunning(one) && !one.renews_at && !one.cancel_at;
  const moves = (one) => ["pending", "refunding"].includes(one.status) || one.mend_url || half(one);
  return Boolean(booking) || expiring || purchases.some(moves);
}

const isRunning = ({ status }) => ["active", "trialing"].includes(status);

async function keepLooking() {
  for (;;) {
    const soon = performance.now() < soonUntil;
    await new Promise((resolve) => setTimeout(resolve, soon ? LOOK_SOON_MS : LOOK_EVERY_MS));
    if (soon || moving || isBehind()) await look();
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
