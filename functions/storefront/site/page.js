/** What every page shares: building elements, buttons that never hang, problems in words, and the sign-in line. */

import { openIdConnect } from "./openid.js";
import { Problem, WORDS, connect } from "./paidup.js";
import { REFUSALS } from "./refusals.js";
import { routes } from "./routes.js";

const REMEMBERED = "paidup.checkout";
/** As long as the API keeps a checkout that ended. */
const REMEMBERED_MS = 7 * 24 * 60 * 60 * 1000;
/** No button is busy for longer than this before it says more, or leaves the buyer a way on. */
const MOST_MS = 10_000;
const SLOW_MS = 6_000;
const PATIENCE_MS = 4_000;
/** A connection that is back within this was never away. */
const QUIET_MS = 5_000;

export const find = (selector) => document.querySelector(selector);

const setting = (name) => find(`meta[name="${name}"]`).content;

Object.assign(WORDS, REFUSALS);

/** Who is signed in. */
export const session = openIdConnect({ issuer: setting("identity-issuer"), clientId: setting("identity-client") });

/** The client, with every route of the API. */
const client = connect({ session, realtime: setting("realtime") || null });
export const paidup = Object.assign(client, routes(client));

/** The roles of the signed-in customer. They only choose what is shown; what is allowed, the API decides. */
export function roles() {
  const claimed = session.claims.roles;
  return typeof claimed === "string" ? claimed.split(",") : (claimed ?? []);
}

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
 * A button that does one thing at a time, says so at once and meanwhile, tells what went wrong, and is always ready again.
 *
 * @param {string} doing - what it says while it acts
 * @param {(goOn: string|null, progress: (text: string) => void) => Promise<void>} act - may tell how far it is
 * @param {object} options
 * @param {string} options.name - its name for those who listen, if the label alone would not say which
 * @param {string} options.goOn - a name by which it is pressed again after a sign-in that it asked for
 * @param {(failure: Error) => Node[]} options.ways - gives the ways on after a failure
 */
export function button(label, doing, act, { kind = "primary", name = label, goOn = null, ways = () => [] } = {}) {
  const node = el("button", { type: "button", class: kind, "data-go-on": goOn });
  const say = (text, isBusy, isWorking = isBusy) => {
    node.textContent = text;
    node.setAttribute("aria-label", text === label ? name : `${name}: ${text}`);
    node.setAttribute("aria-disabled", isBusy);
    node.classList.toggle("busy", isWorking);
  };
  const countDown = (left) => {
    if (left <= 0 || !node.isConnected) return say(label, false);
    say(`Again in ${left} s`, true, false);
    return setTimeout(countDown, 1000, left - 1);
  };
  node.addEventListener("click", () => {
    if (node.getAttribute("aria-disabled") === "true") return;
    if (node.nextElementSibling?.matches(".problem")) node.nextElementSibling.remove();
    const progress = (text) => {
      say(text, true);
      announce(text);
    };
    const slow = setTimeout(progress, SLOW_MS, "Still working on it…");
    say(doing, true);
    act(goOn, progress)
      .finally(() => clearTimeout(slow))
      .then(
        () => say(label, false),
        (failure) => {
          node.after(problem(failure, { goOn, ways: ways(failure) }));
          countDown(Math.ceil((failure.retryAfterMs ?? 0) / 1000));
        },
      );
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

/**
 * Do *go*, which ends by calling location.assign; complain if that page does not come within ten seconds. A purchase that
 * would be a second subscription leads to the one that runs, and there to the change *to* what was wanted.
 */
export async function leave(go, { to = "" } = {}) {
  const late = new Promise((_, reject) => {
    setTimeout(reject, MOST_MS, new Problem({
      title: "The next page does not open",
      detail: "It did not answer in time. Nothing was charged.",
      next: "Try again: you get the same page.",
    }));
  });
  const gone = go().catch((failure) => {
    if (failure.slug !== "already-subscribed") throw failure;
    location.assign(change(failure.purchaseId ?? "", to, { refused: "yes" }));
  });
  await Promise.race([gone, late]);
  await late;
}

/**
 * A button that buys *offerId*: it signs in first if that is needed, then leaves for the provider's page.
 *
 * @param {() => number} options.quantity - how many of it, asked when the button is pressed
 */
export const buyButton = (label, offerId, { offer, quantity = () => 1, ...options } = {}) =>
  button(
    label,
    "Opening the payment page…",
    (goOn, progress) => leave(() => buy(offerId, offer, quantity(), goOn, progress), { to: offerId }),
    { goOn: `buy ${offerId}`, ...options },
  );

/** What a buyer is told while their payment page is being opened. */
const STEPS = { "signing-in": "Opening the sign-in…", opening: "Opening the payment page…" };

async function buy(offerId, offer, quantity, goOn, progress) {
  const cart = {
    offer_id: offerId,
    ...(quantity > 1 ? { quantity } : {}),
    context: { offer: offer ?? offerId, from: location.pathname },
    success_url: `${location.origin}/success`,
    cancel_url: `${location.origin}/cancel`,
  };
  const checkout = await paidup.pay(cart, {
    goOn,
    onProgress: ({ step, problem: failed }) => {
      if (failed) progress("No answer yet, trying again…");
      else if (step in STEPS) progress(STEPS[step]);
    },
  });
  if (!checkout) return; // it left for the sign-in
  if (checkout.replaced_checkout_id) announce("This takes the place of your earlier choice. Nothing was charged for that one.");
  follow(checkout);
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

/** The address at which a subscription that runs is changed *to* another offer. */
export const change = (purchaseId, to, more = {}) => `/account?${new URLSearchParams({ change: purchaseId, to, ...more })}`;

/** A button that leaves for the payment provider's page of the customer's cards and invoices. */
export const portalButton = (label, options = {}) =>
  button(label, "Opening your cards and invoices…", () => leave(openPortal), { goOn: "portal", kind: "", ...options });

async function openPortal() {
  const { url } = await paidup.billingPortal(`${location.origin}/account`);
  location.assign(url);
}

/** What *promise* gives, or null where it fails or takes too long: for what a page can do without. */
export const ifInTime = (promise) =>
  Promise.race([promise.catch(() => null), new Promise((resolve) => setTimeout(resolve, PATIENCE_MS, null))]);

/** The checkout under way, for a buyer who came back by another way: `{checkoutId, offerId, quantity}`, or null. */
export function remembered() {
  const known = JSON.parse(localStorage.getItem(REMEMBERED));
  return known && Date.now() - known.at < REMEMBERED_MS ? known : null;
}

/** The checkout is decided: it is no longer under way. */
export function forget(checkoutId) {
  if (remembered()?.checkoutId === checkoutId) localStorage.removeItem(REMEMBERED);
}

/** What is for sale, and what gives an offer's name by its id; one that is no longer sold goes by its id. */
export async function catalogue() {
  const offers = await paidup.offers().catch(() => []);
  const names = new Map(offers.map((offer) => [offer.offer_id, offer.name]));
  return { offers, name: (offerId) => names.get(offerId) ?? offerId };
}

/** What gives an offer's name by its id. */
export const offerNames = async () => (await catalogue()).name;

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

/** Say quietly that changes are not told any more, as long as that is so. */
export function watchConnection() {
  const place = find("#connection");
  const said = {
    offline: "No connection. What you see may be a moment old; it goes on by itself.",
    polling: setting("realtime") ? "Changes show a little later at the moment: within 15 seconds." : "",
  };
  let timer;
  paidup.onConnection((connection) => {
    clearTimeout(timer);
    const text = said[connection] ?? "";
    const showIt = () => {
      place.textContent = text;
      place.hidden = !text;
    };
    if (text) timer = setTimeout(showIt, QUIET_MS);
    else showIt();
  });
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
  const { name } = session;
  const out = button("Sign out", "Signing out…", session.signOut, { kind: "plain" });
  const hidden = el("span", { class: "hidden" }, "Signed in as ");
  const sessions = find('nav [href="/sessions"]');
  sessions.hidden = !roles().includes("host") && !sessions.hasAttribute("aria-current");
  if (roles().includes("support")) {
    const here = location.pathname === "/desk" ? "page" : null;
    find("nav").append(el("a", { href: "/desk", "aria-current": here }, "Desk"));
  }
  const line = name ? [el("span", { class: "name" }, hidden, name), out] : signInButton("Sign in", { kind: "plain" });
  show(find("#who"), line);
}
