/** A token that is kept fresh: renewed before it ends, by one tab for all of them. */

import { LIMIT_MS, MINUTE, SECOND, backOff } from "./calls.js";
import { inTurn, shared } from "./tabs.js";

/** How long before its end a token is renewed, unless it lives for less than twice as long. */
const AHEAD_MS = 5 * MINUTE;

/** The longest that a browser's timer takes, or less. */
const LONGEST_MS = 2 ** 30;

/**
 * A token as it is kept: when it was received, and until when it is good (milliseconds).
 *
 * @typedef {{ token: string, at: number, until: number }} Kept
 */

/**
 * Keep a token fresh in every tab.
 *
 * @template {Kept} T
 * @param {object} options
 * @param {string} options.key - the name under which the tabs share it
 * @param {Storage | null} options.store - where it outlives the page
 * @param {(kept: T | null) => Promise<T | null>} options.renew - gives the next one, or null where there is none to be had
 * @param {(kept: T) => boolean} [options.canRenew] - whether it is renewed ahead of time
 */
export function keepFresh({ key, store, renew, canRenew = () => true }) {
  const place = /** @type {ReturnType<typeof shared<T>>} */ (shared(key, store));
  const jitter = 1 + Math.random() / 5;
  /** @type {Promise<T | null> | null} */
  let flight = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let failures = 0;
  let notBefore = 0;
  /** @param {T | null} kept */
  const good = (kept) => (kept && Date.now() < kept.until ? kept : null);

  /** One renewal at a time: in this tab all wait for the same one, and of the tabs one has its turn. */
  const renewed = () => (flight ??= renewal().finally(() => ((flight = null), plan())));

  async function renewal() {
    const before = place.get();
    try {
      const next = await inTurn(`${key}.turn`, LIMIT_MS + SECOND, async () => {
        const kept = place.get();
        if (good(kept) && kept?.at !== before?.at) return kept; // another tab was first
        const own = await renew(kept);
        if (kept && !place.get()) return null; // signed out meanwhile
        place.set(own);
        return own;
      });
      failures = notBefore = 0;
      return next;
    } catch (failure) {
      failures += 1;
      notBefore = Date.now() + backOff(failures + 3, MINUTE);
      throw failure;
    }
  }

  /** Renew it when its time comes: at once, if that is over. */
  function plan() {
    clearTimeout(timer);
    const kept = good(place.get());
    if (!kept || !canRenew(kept)) return;
    const ahead = Math.min(AHEAD_MS, (kept.until - kept.at) / 2) * jitter;
    const waitMs = Math.max(kept.until - ahead, notBefore) - Date.now();
    // A renewal that fails is tried again by itself; who needs the token then hears of it.
    if (waitMs > 0) timer = setTimeout(plan, Math.min(waitMs, LONGEST_MS));
    else renewed().catch(() => {});
  }

  place.onChange(plan);
  document.addEventListener("visibilitychange", plan);
  addEventListener("online", () => ((notBefore = 0), plan()));
  return {
    place,
    plan,
    /**
     * The token that is good now. One that is about to end is given at once, and renewed meanwhile.
     *
     * @param {{ fresh?: boolean }} [options] - `fresh`: another one than the one before, which was refused
     */
    async get({ fresh = false } = {}) {
      const kept = fresh ? null : good(place.get());
      if (!kept) return renewed();
      plan();
      return kept;
    },
  };
}
