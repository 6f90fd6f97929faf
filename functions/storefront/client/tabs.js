/** What the tabs of one browser have in common: a value that all of them know, and a turn that one of them has. */

import { pause } from "./calls.js";

/**
 * A value under *key* that every tab of this origin shares: in *store*, if there is one that can be used, and told from
 * tab to tab by BroadcastChannel, or by the events of the store where that is missing.
 *
 * @template {{ at: number }} T
 * @param {string} key
 * @param {Storage | null} store - without one, a tab knows what it was told since it was opened
 */
export function shared(key, store) {
  /** @type {string | null} */
  let kept = null;
  /** @type {Set<(value: T | null) => void>} */
  const listeners = new Set();
  const read = () => (store ? store.getItem(key) : kept);
  /** @param {string | null} text */
  const hear = (text) => {
    if (text === kept && text !== null) return; // what was given up may be on its way here just now
    kept = text;
    for (const listener of listeners) listener(parsed(text));
  };
  kept = read();
  const channel = typeof BroadcastChannel === "function" ? new BroadcastChannel(key) : null;
  channel?.addEventListener("message", ({ data }) => hear(data));
  addEventListener("storage", (event) => store && (event.key === key || event.key === null) && hear(read()));
  return {
    /**
     * What this tab was told, or what is stored if that is newer: each may come a moment before the other.
     *
     * @returns {T | null}
     */
    get() {
      const told = parsed(kept);
      const stored = parsed(read());
      return told && stored?.at > told.at ? stored : told;
    },
    /** @param {T | null} value */
    set(value) {
      kept = value && JSON.stringify(value);
      if (kept === null) store?.removeItem(key);
      else store?.setItem(key, kept);
      channel?.postMessage(kept);
    },
    /** @param {(value: T | null) => void} listener - called with what another tab has set */
    onChange: (listener) => void listeners.add(listener),
  };
}

/**
 * Do *act* while no other tab does what has the same *name*. A tab that has its turn for longer than *patienceMs* is not
 * waited for.
 *
 * @template T
 * @param {string} name
 * @param {number} patienceMs
 * @param {() => Promise<T>} act
 * @returns {Promise<T>}
 */
export async function inTurn(name, patienceMs, act) {
  if (!navigator.locks) return leased(name, patienceMs, act);
  let began = false;
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), patienceMs);
  const begin = () => {
    began = true;
    clearTimeout(timer);
    return act();
  };
  try {
    return await navigator.locks.request(name, { signal: patience.signal }, begin);
  } catch (failure) {
    if (began) throw failure;
    return begin();
  }
}

/**
 * A turn where a browser has no locks: a note in its storage, read again a moment after it was written.
 *
 * @template T
 * @param {string} name
 * @param {number} patienceMs
 * @param {() => Promise<T>} act
 */
async function leased(name, patienceMs, act) {
  const own = String(Math.random());
  const store = storage("localStorage");
  const end = Date.now() + patienceMs;
  while (store && store[name]?.split(" ")[0] !== own) {
    const now = Date.now();
    if (now > end || !(store[name]?.split(" ")[1] > now)) store[name] = `${own} ${now + patienceMs}`;
    await pause(60 + 60 * Math.random());
  }
  return act().finally(() => store?.removeItem(name));
}

/**
 * A storage of the browser, or null where it lets nobody keep anything.
 *
 * @param {"localStorage" | "sessionStorage"} which
 */
export function storage(which) {
  try {
    const store = window[which];
    store.setItem("paidup", "");
    store.removeItem("paidup");
    return store;
  } catch {
    return null;
  }
}

/** @param {string | null} text */
function parsed(text) {
  try {
    return text && JSON.parse(text);
  } catch {
    return null;
  }
}
