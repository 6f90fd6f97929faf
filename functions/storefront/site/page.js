/** What every page shares: building elements, buttons that never hang, problems in words, and the sign-in line. */

import { Problem, connect } from "./paidup.js";
import * as session from "./session.js";

const REMEMBERED = "paidup.checkout";
/** As long as the API keeps a checkout that ended. */
const REMEMBERED_MS = 7 * 24 * 60 * 60 * 1000;
const LEAVING_MS = 12_000;

export const paidup = connect({ token: session.token });

export const find = (selector) => document.querySelector(selector);

/** Make an element: `el("a", { href: "/" }, "Shop")`. Text is text, never markup; null children are left out. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value != null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...present(children));
  return node;
}

/** Show *children* in *place* instead of what was there. */
export function show(place, ...children) {
  place.replaceChildren(...present(children));
  place.removeAttribute("aria-busy");
}

const present = (children) => children.flat().filter((child) => child != null);

/** Tell *text* to those who listen instead of looking. */
export function announce(text) {
  find("#announcer").textContent = text;
}

/** A definition list of [term, text] pairs. */
export const facts = (pairs) =>
  el(
    "dl",
    { class: "facts" },
    pairs.map(([term, text]) => el("div", {}, el("dt", {}, term), el("dd", {}, text))),
  );

export const link = (label, href, kind = "") => el("a", { class: `button ${kind}`, href }, label);

/**
 * A button that does one thing at a time, says so meanwhile, tells what went wrong, and is always ready again.
 *
 * @param {string} doing - what it says while it acts
 * @param {(goOn: string|null) => Promise<void>} act
 * @param {object} options
 * @param {string} options.name - its name for those who listen, where the label alone would not say which
 * @param {string} options.goOn - a name by which it is pressed again after a sign-in that it asked for
 */
export function button(label, doing, act, { kind = "primary", name = label, goOn = null } = {}) {
  const node = el("button", { type: "button", class: kind, "data-go-on": goOn });
  const say = (text, busy) => {
    node.textContent = text;
    node.setAttribute("aria-label", text === label ? name : `${name}: ${text}`);
    node.setAttribute("aria-disabled", busy);
    node.classList.toggle("busy", text === doing);
  };
  node.addEventListener("click", async () => {
    if (node.getAttribute("aria-disabled") === "true") return;
    if (node.nextElementSibling?.matches(".problem")) node.nextElementSibling.remove();
    say(doing, true);
    try {
      await act(goOn);
    } catch (failure) {
      node.after(problem(failure, { goOn }));
      for (let left = Math.ceil((failure.retryAfterMs ?? 0) / 1000); left > 0 && node.isConnected; left -= 1) {
        say(`Again in ${left} s`, true);
        await new Promise((resolve) => setTimeout(resolve, 1000));
      }
    }
    say(label, false);
  });
  say(label, false);
  return node;
}

/** A failure in words, with what to do next; where only a sign-in helps, it offers one that comes back here. */
export function problem(failure, { ways = [], goOn = null } = {}) {
  const known = failure instanceof Problem ? failure : new Problem({ status: 500 });
  if (known !== failure) console.error(failure);
  const on = known.needsSignIn ? [signInButton("Sign in and go on", { goOn })] : ways;
  return el(
    "div",
    { class: "problem", role: "alert" },
    el("p", { class: "strong" }, known.title),
    el("p", {}, known.status < 500 ? `${known.detail} ${known.next}` : known.next),
    known.requestId ? el("p", { class: "small" }, "Reference ", el("code", {}, known.requestId)) : null,
    on.length ? el("div", { class: "actions" }, on) : null,
  );
}

/** A button that goes away to sign in, and brings the visitor back to this page. */
export const signInButton = (label = "Sign in", { goOn = null, kind = "primary" } = {}) =>
  button(label, "Opening the sign-in…", () => leave(() => session.signIn(goOn)), { kind });

/** Do *go*, which ends by calling location.assign; complain where that page never comes. */
export async function leave(go) {
  await go();
  await new Promise((resolve) => setTimeout(resolve, LEAVING_MS));
  throw new Problem({
    title: "The next page does not open",
    detail: "It did not answer in time. Nothing was charged.",
    next: "Try again: you get the same page.",
  });
}

/**
 * A button that buys *offerId*: it signs in first where that is needed, then leaves for the provider's page.
 *
 * @param {() => number} options.quantity - how many of it, asked when the button is pressed
 */
export const buyButton = (label, offerId, { offer, quantity = () => 1, ...options } = {}) =>
  button(label, "Opening the payment page…", (goOn) => leave(() => buy(offerId, offer, quantity(), goOn)), {
    goOn: `buy ${offerId}`,
    ...options,
  });

async function buy(offerId, offer, quantity, goOn) {
  if (!session.token()) return session.signIn(goOn);
  const checkout = await paidup.createPaymentToken({
    offer_id: offerId,
    ...(quantity > 1 ? { quantity } : {}),
    context: { offer: offer ?? offerId, from: location.pathname },
    success_url: `${location.origin}/success`,
    cancel_url: `${location.origin}/cancel`,
  });
  if (checkout.replaced_checkout_id) announce("This takes the place of your earlier choice. Nothing was charged for that one.");
  return follow(checkout);
}

/** Leave for *checkout*'s page; where it was paid already, for what became of it. */
export function follow(checkout) {
  sessionStorage.removeItem(chosenQuantity(checkout.offer_id));
  if (!checkout.url) return location.assign(`${purchase(checkout.checkout_id)}&paid=before`);
  remember(checkout);
  return location.assign(checkout.url);
}

/** Where this tab keeps how many of an offer were chosen, until they are bought. */
export const chosenQuantity = (offerId) => `paidup.quantity.${offerId}`;

/** Keep which checkout this browser was last busy with. */
export function remember({ checkout_id: checkoutId, offer_id: offerId, quantity = 1 }) {
  localStorage.setItem(REMEMBERED, JSON.stringify({ checkoutId, offerId, quantity, at: Date.now() }));
}

/** The address that tells what became of a checkout. */
export const purchase = (checkoutId) => `/success?checkout_id=${encodeURIComponent(checkoutId)}`;

/** The checkout under way, for a buyer who came back by another way: `{checkoutId, offerId, quantity}`, or null. */
export function remembered() {
  const known = JSON.parse(localStorage.getItem(REMEMBERED));
  return known && Date.now() - known.at < REMEMBERED_MS ? known : null;
}

/** The checkout is decided: it is no longer under way. */
export function forget(checkoutId) {
  if (remembered()?.checkoutId === checkoutId) localStorage.removeItem(REMEMBERED);
}

/** Give the offers' names by id; an offer that is no longer sold goes by its id. */
export async function offerNames() {
  const offers = await paidup.offers().catch(() => []);
  const names = new Map(offers.map((offer) => [offer.offer_id, offer.name]));
  return (offerId) => names.get(offerId) ?? offerId;
}

/** Begin a page: take up a sign-in that just came back, show who is signed in, *draw*, and go on where it was. */
export async function begin(draw) {
  session.onChange(() => location.reload());
  addEventListener("pageshow", (event) => event.persisted && location.reload());
  try {
    const back = await session.finishSignIn();
    if (back && back !== location.pathname) return location.replace(back);
  } catch (failure) {
    find("#notice").append(problem(failure, { ways: [signInButton("Sign in again")] }));
  }
  showWho();
  await redraw(draw);
  const goOn = session.takeGoOn();
  if (goOn) find(`[data-go-on="${CSS.escape(goOn)}"]`)?.click();
  return undefined;
}

/** Draw a page's content; where that fails, say so and offer to try again. */
export async function redraw(draw) {
  try {
    await draw();
  } catch (failure) {
    show(find("#content"), problem(failure, { ways: [button("Try again", "Trying…", () => redraw(draw))] }));
  }
}

function showWho() {
  const name = session.who();
  const out = button("Sign out", "Signing out…", session.signOut, { kind: "plain" });
  const hidden = el("span", { class: "hidden" }, "Signed in as ");
  const sessions = find('nav [href="/sessions"]');
  sessions.hidden = !session.roles().includes("host") && !sessions.hasAttribute("aria-current");
  const line = name ? [el("span", { class: "name" }, hidden, name), out] : signInButton("Sign in", { kind: "plain" });
  show(find("#who"), line);
}
