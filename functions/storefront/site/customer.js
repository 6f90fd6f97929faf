/** A customer as support sees them: what they have, what happened and how it was heard, what waits, and what can be done. */

import { acts, ofCustomer, ofPurchase } from "./acting.js";
import { caseCard, details, eventCard } from "./events.js";
import { el, facts } from "./page.js";
import { plainly } from "./story.js";
import { KINDS, STATUS, instant, many, money } from "./words.js";

/** How a channel is called. */
const CHANNELS = {
  webhook: "webhook",
  poll: "the buyer’s page",
  sync: "a sync",
  sweep: "the sweep",
  reconciler: "the reconciler",
  support: "support",
  request: "the customer’s request",
};

/**
 * All that is known of *customer*.
 *
 * @param {object} shop - `{offers, name}`: what is for sale
 * @param {() => Promise<void>} refresh - draws it as it is now
 * @param {(customerId: string) => Promise<void>} open - shows another customer
 */
export function customerPage(customer, shop, refresh, open) {
  const { customer_id: customerId, cases, failed_events: failed, purchases, timeline } = customer;
  return [
    el("div", { class: "hero" }, el("p", { class: "kind" }, "Customer"), el("h1", { tabindex: "-1" }, customerId), summary(customer, shop)),
    ofAccount(customer, shop, refresh, open),
    section("Waits for a decision", cases.map((one) => caseCard(one, refresh))),
    section("Failed events", failed.map((one) => eventCard(one, refresh))),
    el(
      "div",
      { class: "sides" },
      section("Purchases", purchases.map((one) => purchaseCard(one, customer, shop, refresh)), {
        none: "Nothing was bought.",
        more: customer.cut ? "Older ones are not shown." : "",
      }),
      happened(timeline, shop, purchases),
    ),
  ];
}

function summary({ access, provider_customers: refs }, { name }) {
  const has = access.map((one) => many(one.quantity, name(one.offer_id))).join(", ");
  return el("div", {}, facts([["May use now", has || "nothing"], ["At the provider", refs.join(", ") || "not known"]]));
}

function ofAccount({ customer_id: customerId }, { offers }, refresh, open) {
  return acts(
    "account",
    [
      {
        label: "Sync",
        doing: "Looking at the provider…",
        about: "Everything that the provider knows of the last 30 days is settled.",
        fields: [{ name: "email", label: "E-mail, if the provider knows no more", optional: true }],
        path: () => ofCustomer(customerId, "/sync"),
      },
      {
        label: "Assign a payment",
        doing: "Assigning…",
        about: "A payment that belongs to nobody becomes a purchase of this customer.",
        fields: assignFields(offers),
        path: () => ofCustomer(customerId, "/assign"),
      },
      {
        label: "Move everything",
        doing: "Moving…",
        about: "All that this customer has is given to another customer id.",
        fields: [{ name: "to", label: "To the customer id" }],
        path: () => ofCustomer(customerId, "/move"),
      },
    ],
    refresh,
  );
}

const assignFields = (offers, payment = "") => [
  { name: "payment", label: "Payment or subscription", value: payment },
  offerField(offers),
];

export const offerField = (offers) => ({
  name: "offer_id",
  label: "It paid for",
  options: offers.filter(({ kind }) => kind !== "live_session").map((one) => [one.offer_id, one.name]),
});

function section(title, cards, { none = "", more = "" } = {}) {
  if (!cards.length && !none) return null;
  const key = `title-${title.replace(/\W+/g, "-").toLowerCase()}`;
  return el(
    "section",
    { class: "part", "aria-labelledby": key },
    el("h2", { id: key }, title),
    cards.length ? el("ul", { class: "entries" }, cards) : el("p", { class: "muted" }, none),
    more ? el("p", { class: "muted" }, more) : null,
  );
}

function purchaseCard(purchase, { customer_id: customerId }, { name }, refresh) {
  const [label, tone] = STATUS[purchase.status] ?? [purchase.status, "calm"];
  const called = name(purchase.offer_id) || "something without a name";
  const path = (step) => () => ofPurchase(customerId, purchase.purchase_id, step);
  const about = `${called}, ${purchase.purchase_id}`;
  return el(
    "li",
    { class: "card entry" },
    el("p", { class: `status ${tone}` }, label),
    el("h3", {}, many(purchase.quantity, called)),
    el("p", { class: "muted small" }, `${KINDS[purchase.kind] ?? purchase.kind} · `, el("code", {}, purchase.purchase_id)),
    facts(
      [
        purchase.currency ? ["Amount", money(purchase)] : null,
        purchase.refunded ? ["Refunded", money({ ...purchase, amount: purchase.refunded })] : null,
        purchase.paid_at ? ["Paid", instant(purchase.paid_at)] : null,
        purchase.until ? ["Access until", instant(purchase.until)] : null,
      ].filter(Boolean),
    ),
    details("What the provider says", () => registers(purchase)),
    acts(
      `purchase ${purchase.purchase_id}`,
      [
        purchase.open_cases.length ? null : { label: "Refund", name: about, doing: "Refunding…", path: path("/refund"), about: "All that was paid goes back. A subscription ends." },
      ].filter(Boolean),
      refresh,
    ),
  );
}

function registers({ registers: said, refs }) {
  const rows = said.map((one) =>
    el(
      "li",
      {},
      el("p", { class: "strong" }, one.says),
      el("p", { class: "muted small" }, [one.register, `as of ${instant(one.at)}`, one.channel ? `heard by ${CHANNELS[one.channel]}` : ""].filter(Boolean).join(" · ")),
    ),
  );
  const found = el("p", { class: "muted small" }, "Found by ", el("code", {}, refs.join(", ") || "nothing"));
  return el("div", {}, el("ul", { class: "rows" }, rows), found);
}

function happened(timeline, shop, purchases) {
  const sold = new Map(purchases.map((one) => [one.purchase_id, shop.name(one.offer_id)]));
  return el(
    "section",
    { class: "part", "aria-labelledby": "timeline-title" },
    el("h2", { id: "timeline-title" }, "Timeline"),
    timeline.length ? el("ol", { class: "timeline" }, timeline.map((one) => moment(one, sold))) : el("p", { class: "muted" }, "Nothing happened yet."),
  );
}

/** One thing that happened: what, who said it, when it was paid and heard, and by which channel. */
function moment(one, sold) {
  const times = [
    one.provider_paid_at ? `paid at the provider ${instant(one.provider_paid_at)}` : null,
    one.heard_at ? `heard ${instant(one.heard_at)}` : null,
    one.settled_at > one.at ? `settled ${one.settled_at - one.at} s later` : "settled at once",
  ];
  const about = [one.register.includes("#") ? one.register : null, sold.get(one.purchase_id) ?? one.purchase_id, `said by ${one.said_by}`, `by ${CHANNELS[one.channel] ?? one.channel}`];
  return el(
    "li",
    {},
    el("p", { class: "when small muted" }, instant(one.at)),
    el("p", { class: "strong" }, plainly(one.what)),
    el("p", { class: "small muted" }, [...about, ...times].filter(Boolean).join(" · ")),
    one.decided_by ? el("p", { class: "small" }, `${one.decided_by}: “${one.reason ?? "no reason given"}”`) : null,
  );
}
