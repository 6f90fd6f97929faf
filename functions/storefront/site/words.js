/** How money, days, passes and their states are said to a customer. */

const LANGUAGE = document.documentElement.lang;
const LOCALE = navigator.languages.find((tag) => tag.startsWith(LANGUAGE)) ?? LANGUAGE;

export const KINDS = { pass: "Pass", subscription: "Subscription", live_session: "Live session" };

/** A pass's status: [label, tone, what it means for the customer]. */
export const STATUS = {
  active: ["Active", "good", ""],
  trialing: ["Free trial", "good", "Nothing is charged until the trial ends."],
  past_due: ["Payment overdue", "warn", "The last payment failed. It is tried again, and you keep your access."],
  pending: ["Waiting for payment", "calm", "Your bank has not confirmed it yet. It turns active by itself."],
  paused: ["Paused", "calm", "It is not charged, and cannot be used, until it goes on."],
  unpaid: ["Unpaid", "bad", "The renewal was not paid, so access has ended."],
  failed: ["Payment failed", "bad", "Nothing was bought. You can try again in the shop."],
  quarantined: [
    "Being checked",
    "warn",
    "Another amount arrived than was asked for, so a person looks at it. You need not pay again: it is granted, or your money goes back.",
  ],
  disputed: ["On hold", "warn", "Your bank questions this payment. It is on hold until that is settled."],
  charged_back: ["Taken back", "bad", "Your bank took the payment back, so access has ended."],
  refunding: ["Money on its way back", "calm", "Your money goes back to your card or account by itself."],
  refunded: ["Refunded", "calm", "Your money was sent back to your card or account. Banks take up to ten days to show it."],
  canceled: ["Cancelled", "calm", "It does not renew any more, and access has ended."],
  ended: ["Ended", "calm", "Its time is over. You can buy it again in the shop."],
};

/** What a pass's status means for its customer; where its money goes back, why. `name` gives an offer's name. */
export function meaning(purchase, name, purchases = []) {
  const [, , plain] = STATUS[purchase.status] ?? [];
  if (purchase.cancel_at && ["active", "trialing"].includes(purchase.status)) {
    return "You cancelled it. You can use it until then, and nothing more is charged.";
  }
  if (purchase.uses && !purchase.uses_left && purchase.status === "ended") {
    return `All ${purchase.uses} are used. You can buy it again in the shop.`;
  }
  if (purchase.kind === "live_session" && purchase.status === "ended") return "This session is over. You can book another one in the shop.";
  if (!purchase.refund_why || !["refunding", "refunded"].includes(purchase.status)) return plain ?? "";
  const before = purchases.find((one) => one.purchase_id === purchase.paid_before);
  const cause = purchase.paid_before
    ? `You had paid for ${before ? name(before.offer_id) : "this"} already`
    : purchase.refund_why.charAt(0).toUpperCase() + purchase.refund_why.slice(1);
  const sum = purchase.amount ? `this payment of ${money(purchase)}` : "what you paid";
  return purchase.status === "refunding"
    ? `${cause}, so ${sum} goes back to your card or account by itself.`
    : `${cause}, so ${sum} was sent back to your card or account. Banks take up to ten days to show it.`;
}

/** How long, roughly, from seconds: 23 hours, 5 minutes. */
export function lasts(seconds) {
  const [many, unit] = seconds >= 5400 ? [seconds / 3600, "hour"] : [Math.max(1, seconds / 60), "minute"];
  const format = { style: "unit", unit, unitDisplay: "long", maximumFractionDigits: 0 };
  return new Intl.NumberFormat(LOCALE, format).format(Math.floor(many));
}

/**
 * An amount of minor units, as people write it: 1290 of "eur", which has 2 digits, is €12.90.
 * The API says how many digits a currency has; what a browser thinks of them is not what is charged.
 */
export function money({ amount, currency, digits }) {
  const format = new Intl.NumberFormat(LOCALE, {
    style: "currency",
    currency: currency.toUpperCase(),
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
    trailingZeroDisplay: "stripIfInteger",
  });
  return format.format(amount / 10 ** digits);
}

const days = new Intl.DateTimeFormat(LOCALE, { dateStyle: "long" });
const moments = new Intl.DateTimeFormat(LOCALE, { dateStyle: "medium", timeStyle: "short" });
const seconds = new Intl.DateTimeFormat(LOCALE, { timeStyle: "medium" });

/** A day, from epoch seconds: 3 December 2026. It stays on one line. */
export const day = (epoch) => days.format(epoch * 1000).replaceAll(" ", "\u00a0");

/** A minute of a day, from epoch seconds. */
export const moment = (epoch) => moments.format(epoch * 1000);

/** A second of today, from epoch seconds. */
export const second = (epoch) => seconds.format(epoch * 1000);

const instants = new Intl.DateTimeFormat(LOCALE, { dateStyle: "medium", timeStyle: "medium" });

/** A second of a day, from epoch seconds. */
export const instant = (epoch) => instants.format(epoch * 1000);

/** The time between two payments: "month", "3 months". */
export const every = ({ interval, interval_count: count }) => (count > 1 ? `${count} ${interval}s` : interval);

/** What is left of something whose uses are counted: "7 of 10 left". */
export const left = ({ uses, uses_left: usesLeft }) => `${usesLeft} of ${uses} left`;

/** *quantity* of something, as people say it: "Ten classes", "2 × Ten classes". */
export const many = (quantity, name) => (quantity > 1 ? `${quantity} × ${name}` : name);

/** What there is to say of a pass: [term, text] pairs. */
export function purchaseFacts(purchase) {
  const next = nextPayment(purchase);
  return [
    purchase.currency && !next ? ["Price", money(purchase)] : null,
    purchase.refunded ? ["Refunded", money({ ...purchase, amount: purchase.refunded })] : null,
    next ?? time(purchase),
  ].filter(Boolean);
}

/** The next payment of a subscription that goes on, and when it is. */
function nextPayment({ status, renews_at: renewsAt, cancel_at: cancelAt, ...price }) {
  if (!renewsAt || cancelAt || !["active", "trialing"].includes(status)) return null;
  return [status === "trialing" ? "First payment" : "Next payment", `${money(price)} on ${day(renewsAt)}`];
}

/** Until when a pass holds; its end is the first second without it, so the day before may be its last. */
function time({ kind, status, until, cancel_at: cancelAt }) {
  if (!["active", "trialing", "past_due"].includes(status)) return null;
  if (status === "past_due" && until) return ["Access until", day(until - 1)];
  if (cancelAt) return ["Ends on", day(cancelAt - 1)];
  if (until) return ["Valid until", day(until - 1)];
  return kind === "live_session" ? null : ["Valid", "without an end"];
}
