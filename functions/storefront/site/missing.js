/** "Missing a pass?": look at the payment provider for what was paid and never showed up. */

import { button, el, paidup } from "./page.js";

/**
 * A section with the button.
 *
 * @param {() => Promise<void>} onFound - called after passes were found, so that the page shows them
 */
export function missing(onFound = async () => {}) {
  const told = el("div", { class: "told", role: "status" });
  const look = async () => {
    told.replaceChildren();
    const found = await paidup.sync();
    if (found.granted.length) await onFound();
    told.replaceChildren(...words(found).map((line) => el("p", {}, line)));
  };
  return el(
    "section",
    { class: "missing", "aria-labelledby": "missing-title" },
    el("h2", { id: "missing-title" }, "Paid, but it is not here?"),
    el(
      "p",
      { class: "muted" },
      "We look through your last 30 days at the payment provider, and add what you paid for.",
    ),
    button("Missing a pass?", "Looking through your payments…", look, { kind: "", goOn: "sync" }),
    told,
  );
}

function words({ granted, problems }) {
  const found = granted.length
    ? `Found: ${granted.length === 1 ? "one pass was" : `${granted.length} passes were`} added to your account.`
    : "All that you paid for in the last 30 days is already here.";
  if (!problems.length) return [found];
  const unread = problems.length === 1 ? "One payment" : `${problems.length} payments`;
  return [found, `${unread} could not be read just now. Please look again in a minute.`];
}
