/** How long things took in this browser, as numbers alone: nobody can be told from another by them. */

import { Problem } from "./problem.js";
import { SECOND, now } from "./calls.js";

/** @import { Metric } from "./paidup.js" */

/** As many as the API takes at once; more than that of one page are not reported. */
const MOST = 20;
const GATHERED_MS = 10 * SECOND;

/** @type {Metric[]} */
const gathered = [];
/** @type {URL | null} */
let place = null;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

/**
 * Report to *url* from now on, or nowhere.
 *
 * @param {URL | null} url
 */
export function reportTo(url) {
  if (!place && url) document.addEventListener("visibilitychange", () => document.hidden && report());
  place = url;
}

/**
 * What *act* gives, measured under *name*. Nothing came of it if it gives null, or if the customer has to choose first (409).
 *
 * @template T
 * @param {Metric["name"]} name
 * @param {() => Promise<T>} act
 */
export async function measured(name, act) {
  const began = now();
  /** @param {Metric["outcome"]} outcome */
  const note = (outcome) => {
    if (gathered.length === MOST) return;
    gathered.push({ name, outcome, ms: Math.round(now() - began) });
    timer ??= setTimeout(report, GATHERED_MS);
  };
  try {
    const result = await act();
    if (result !== null) note("success");
    return result;
  } catch (failure) {
    if (failure instanceof Problem && failure.status !== 409) note(failure.reason === "timeout" ? "timeout" : "failure");
    throw failure;
  }
}

/** Send what was gathered, also from a page that is being left. Nobody waits for it, and nothing depends on whether it arrives. */
function report() {
  clearTimeout(timer);
  timer = undefined;
  if (!place || !gathered.length) return;
  const body = JSON.stringify({ metrics: gathered.splice(0) });
  const headers = { "Content-Type": "application/json" };
  fetch(place, { method: "POST", headers, body, keepalive: true }).catch(() => {});
}
