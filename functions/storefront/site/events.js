/** Webhook events that failed, and review cases, as support reads and mends them. */

import { acts, desk, ofEvent, ofPurchase } from "./acting.js";
import { button, el, facts, show } from "./page.js";
import { instant } from "./words.js";

const REASONS = {
  "amount-mismatch": "Another amount was paid than was asked for",
  "refund-stuck": "A refund does not go through",
  "refund-returned": "A bank returned a refund",
  "unknown-price": "A price names no offer",
  "partly-taken-back": "A part went back",
  "paid-after-end": "Paid after the end",
  "billed-beside": "More was billed with it",
};

export const STATUSES = { failed: "bad", settled: "good", ignored: "calm" };

/** A failed event: what it is, why it failed and where, its body, and a replay. */
export function eventCard(event, refresh) {
  const name = `${event.type} ${event.event_id}`;
  return el(
    "li",
    { class: "card entry" },
    el("p", { class: `status ${STATUSES[event.status]}` }, event.dead_at ? "Dead letter" : event.status),
    el("h3", {}, event.type),
    el("p", { class: "small" }, el("code", {}, event.event_id)),
    el("p", {}, event.error ?? ""),
    facts(
      [
        ["Last tried", instant(event.received_at)],
        ["Tries", `${event.attempts}`],
        ["Took", `${event.ms} ms`],
        event.replayed_by ? ["Replayed by", `${event.replayed_by}: ${event.reason}`] : null,
      ].filter(Boolean),
    ),
    event.traceback ? details("Traceback", () => el("pre", { tabindex: "0", "aria-label": `Traceback of ${name}` }, event.traceback)) : null,
    details("Body", () => body(event, name)),
    acts(
      `event ${event.event_id}`,
      [{
        label: "Replay",
        name,
        doing: "Replaying…",
        path: () => ofEvent(event, "/replay"),
        told: (after) => (after.status === "failed" ? `It failed again: ${after.error}` : `${event.event_id} is ${after.status}.`),
      }],
      refresh,
    ),
  );
}

function body(event, name) {
  const place = el("div", {}, el("p", { class: "muted" }, "Loading…"));
  desk("GET", ofEvent(event)).then(
    (found) => show(place, el("pre", { tabindex: "0", "aria-label": `Body of ${name}` }, pretty(found.body))),
    () => show(place, el("p", {}, "It cannot be loaded now.")),
  );
  return place;
}

function pretty(text) {
  try {
    return text ? JSON.stringify(JSON.parse(text), null, 2) : "It was too large to be kept. A replay fetches it.";
  } catch {
    return text;
  }
}

/** Something that opens, and is made when it is first opened. */
export function details(title, make) {
  const node = el("details", { class: "more" }, el("summary", {}, title));
  node.addEventListener("toggle", () => node.open && node.childElementCount === 1 && node.append(make()));
  return node;
}

/** A review case: what must be decided, and the two ways to decide. */
export function caseCard(one, refresh, { open = null } = {}) {
  const path = (step) => () => ofPurchase(one.customer_id, one.purchase_id, step);
  const name = REASONS[one.reason] ?? one.reason;
  return el(
    "li",
    { class: "card entry" },
    el("p", { class: "status warn" }, "Waits for a decision"),
    el("h3", {}, name),
    el("p", {}, one.why),
    facts([["Since", instant(one.opened_at)], ["Purchase", one.purchase_id]]),
    open ? el("div", { class: "actions" }, button(`Show ${one.customer_id}`, "Opening…", () => open(one.customer_id), { kind: "" })) : null,
    acts(
      `case ${one.case_id}`,
      [
        { label: "Grant it", name, doing: "Granting…", path: path("/grant"), about: "It is granted as it was paid." },
        { label: "Refund it", name, doing: "Refunding…", path: path("/refund"), about: "All that was paid goes back. A subscription ends." },
      ],
      refresh,
    ),
  );
}

/** Everything that failed, and a replay of all of it: it says first which, and asks once more. */
export function failedList({ events, more }, refresh) {
  const all = acts(
    "replays",
    [{
      label: "Replay all",
      sure: "Replay them",
      doing: "Replaying…",
      about: `The ${Math.min(events.length, 20)} that failed first are tried once each. What fails again stays here.`,
      path: () => "replays",
      body: ({ reason }) => ({ reason, dry_run: false }),
      told: (run) => {
        const failed = run.events.filter((one) => one.status === "failed").length;
        return `${run.events.length} replayed: ${run.events.length - failed} are done, ${failed} failed again.${run.more ? " More are waiting." : ""}`;
      },
    }],
    refresh,
  );
  return [
    el("ul", { class: "entries" }, events.map((one) => eventCard(one, refresh))),
    more ? el("p", { class: "muted" }, "There are more behind these.") : null,
    events.length > 1 ? all : null,
  ];
}

