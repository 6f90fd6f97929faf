/** A checkout that its buyer comes back to: how it stands, and the ways on from there. */

import { button, el, find, follow, forget, leave, link, paidup, purchase, remember, show } from "./page.js";
import { Problem } from "./paidup.js";
import { STATUS, lasts, meaning, money } from "./words.js";

/**
 * How a checkout stands, or null where the API does not tell: it is not this customer's, or there is no answer.
 * Of one that another took the place of, that one comes with it, as `instead`.
 */
export async function standing(checkoutId) {
  try {
    const story = await paidup.checkout(checkoutId);
    if (story.next === "recover" && story.replaced_by) {
      story.instead = await paidup.checkout(story.replaced_by).catch(() => null);
    }
    return story;
  } catch (failure) {
    if (!(failure instanceof Problem)) throw failure;
    if (failure.status === 404) forget(checkoutId);
    return null;
  }
}

/** A button that goes on with a checkout that ended: to its page or a new one, or to what became of it where it was paid. */
export const goOnButton = (checkoutId, { kind = "primary" } = {}) =>
  button(
    "Go on where you were",
    "Opening the payment page…",
    () => leave(async () => follow(await paidup.recoverCheckout(checkoutId))),
    { kind, goOn: `recover ${checkoutId}` },
  );

/**
 * What to tell a buyer of a checkout: `{title, text, ways}`.
 *
 * @param {object} story - how it stands, as the API tells
 * @param {(offerId: string) => string} name - gives an offer's name
 * @param {(story: object) => void} onCancelled - called with how it stands after its buyer cancelled it
 */
export function told(story, name, onCancelled) {
  if (story.instead?.next === "done") return paidInstead(story, name);
  const ways = {
    pay: () => [
      link("Continue to payment", story.url, "primary"),
      button("Cancel it", "Cancelling…", async () => onCancelled(await cancelled(story)), {
        kind: "",
        name: `Cancel the purchase of ${choice(story, name)}`,
      }),
    ],
    recover: () => [goOnButton(story.checkout_id)],
    done: () => [link("See your purchase", purchase(story.checkout_id), "primary")],
  };
  const [title, ...text] = { pay: open, recover: ended, done: paid }[story.next](story, name);
  return { title, text, ways: ways[story.next]() };
}

/** Show in *place* how a checkout stands, with *more* ways on; one that ended can be put out of sight. */
export function showIn(place, story, name, more = []) {
  const drop = async () => {
    forget(story.checkout_id);
    show(place);
    find("#main").focus();
  };
  const cancelled = (after) => {
    showIn(place, after, name);
    place.querySelector("h2").focus();
  };
  const { title, text, ways } = told(story, name, cancelled);
  const close = story.next === "recover" && story.instead?.next !== "done" ? button("Not any more", "Closing…", drop, { kind: "" }) : null;
  show(
    place,
    el(
      "section",
      { class: "card aside", "aria-labelledby": "checkout-title" },
      el("h2", { id: "checkout-title", tabindex: "-1" }, title),
      text.map((line) => el("p", { class: "muted" }, line)),
      el("div", { class: "actions" }, ways, close, more),
    ),
  );
}

/** Where the buyer was in the shop when they chose, from the context that was kept; the shop itself where that is unknown. */
export function cameFrom(story) {
  const from = story?.context?.from;
  return typeof from === "string" && /^\/(?![/\\])/.test(from) ? from : "/";
}

async function cancelled(story) {
  const after = await paidup.cancelCheckout(story.checkout_id);
  remember(after);
  return after;
}

function choice(story, name) {
  const known = name(story.offer_id);
  const called = known === story.offer_id ? (story.context?.offer ?? known) : known;
  return story.quantity > 1 ? `${story.quantity} × ${called}` : called;
}

function open(story, name) {
  return [
    `You were buying ${choice(story, name)}`,
    `${money(story)}. The payment page stays open for another ${lasts(story.remaining_s)}.`,
    ...(story.replaced_checkout_id
      ? ["It took the place of your earlier choice, which was closed. You need not do anything about that one."]
      : []),
  ];
}

function ended(story, name) {
  const what = choice(story, name);
  if (story.status === "expired") {
    return [
      "The payment page has expired",
      `You were buying ${what}. The page was open for too long without a payment, and nothing was charged.`,
    ];
  }
  if (story.status === "completed") {
    return ["The payment did not go through", `You were buying ${what}. Nothing was bought, and you can try again.`];
  }
  if (story.replaced_by) {
    return [
      "You chose something else",
      `You were buying ${what}. This payment page was closed for your other choice, and nothing was charged on it.`,
      "If you would rather have this one after all, go on where you were: it takes the other one’s place.",
    ];
  }
  if (story.status === "invalidated") {
    return ["You cancelled this purchase", `You were buying ${what}. Nothing was charged.`];
  }
  return ["The payment page did not open", `You were buying ${what}. Nothing was charged.`];
}

/** Another choice of the same purchase was paid: nothing is left to do for this one. */
function paidInstead(story, name) {
  const [title, ...text] = paid(story.instead, name);
  return {
    title,
    text: [`You were buying ${choice(story, name)}. Its page was closed since, and nothing was charged on it.`, ...text],
    ways: [link("See your purchase", purchase(story.instead.checkout_id), "primary")],
  };
}

function paid(story, name) {
  const what = choice(story, name);
  if (!story.purchase) return [`You have paid for ${what}`, "It shows in your account within seconds."];
  const [label] = STATUS[story.purchase.status] ?? [story.purchase.status];
  return [`You have paid for ${what}`, `It stands so: ${label.toLowerCase()}. ${meaning(story.purchase, name)}`.trim()];
}
