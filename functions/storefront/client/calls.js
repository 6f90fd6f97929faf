/** One call over the network: with a limit of time, and again with growing gaps where that does no harm. */

import { Problem } from "./problem.js";

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;

/** How long an answer may take, if nothing else is said. */
export const LIMIT_MS = 5 * SECOND;
/** How long somebody in front of the screen waits at most, all tries together. */
export const PATIENCE_MS = 9 * SECOND;
const TRIES = 4;

/** Times of one call of the client, which no clock that is set anew can disturb. */
export const now = () => performance.now();

/**
 * Wait *ms*, or until *signal* aborts.
 *
 * @param {number} ms
 * @param {AbortSignal} [signal]
 * @returns {Promise<void>}
 */
export const pause = (ms, signal) =>
  new Promise((resolve, reject) => {
    setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
  });

/**
 * How long to wait after the *nth* failure: longer each time, and never the same for two browsers.
 *
 * @param {number} nth - 1 is the first
 * @param {number} mostMs
 */
export const backOff = (nth, mostMs) => Math.min(mostMs, 400 * 2 ** (nth - 1)) * (0.5 + Math.random() / 2);

/**
 * What *promise* gives within *ms*; a Problem of the reason "timeout" after that.
 *
 * @template T
 * @param {Promise<T> | T} promise
 * @param {number} ms
 * @returns {Promise<T>}
 */
export function inTime(promise, ms) {
  /** @type {ReturnType<typeof setTimeout>} */
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Problem({}, "timeout")), ms);
  });
  return Promise.race([promise, /** @type {Promise<never>} */ (late)]).finally(() => clearTimeout(timer));
}

/**
 * Fetch, and read the answer to its end, within *limitMs*. Throws a Problem of the reason "timeout" or "offline".
 *
 * @param {URL | string} url
 * @param {RequestInit} init
 * @param {number} limitMs
 */
export async function fetched(url, init, limitMs) {
  const limit = new AbortController();
  const outer = init.signal;
  const stop = () => limit.abort();
  const timer = setTimeout(stop, limitMs);
  outer?.addEventListener("abort", stop);
  try {
    outer?.throwIfAborted();
    const response = await fetch(url, { cache: "no-store", ...init, signal: limit.signal });
    return { response, text: await response.text() };
  } catch (failure) {
    if (outer?.aborted) throw failure;
    throw new Problem({}, limit.signal.aborted ? "timeout" : "offline");
  } finally {
    clearTimeout(timer);
    outer?.removeEventListener("abort", stop);
  }
}

/**
 * Try *act* until it succeeds, fails for good, or *patienceMs* are over. Each try is told how long it may take.
 *
 * @template T
 * @param {(leftMs: number) => Promise<T>} act
 * @param {object} options
 * @param {boolean} options.again - whether doing it twice does no harm
 * @param {number} options.patienceMs
 * @param {AbortSignal} [options.signal]
 * @param {(attempt: number, problem: Problem) => void} [options.onRetry] - told of each try that failed in passing
 * @returns {Promise<T>}
 */
export async function tried(act, { again, patienceMs, signal, onRetry }) {
  const end = now() + patienceMs;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await inTime(act(end - now()), end - now());
    } catch (failure) {
      if (!(failure instanceof Problem) || !failure.mayPass || !again || attempt === TRIES) throw failure;
      const waitMs = failure.retryAfterMs || backOff(attempt, 4 * SECOND);
      if (now() + waitMs + SECOND / 2 > end) throw failure;
      onRetry?.(attempt, failure);
      await pause(waitMs, signal);
    }
  }
}

/**
 * What a JSON web token claims, unchecked; nothing of what is no such token.
 *
 * @param {string} token
 * @returns {Record<string, any>}
 */
export function claims(token) {
  try {
    const text = atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (character) => character.charCodeAt(0))));
  } catch {
    return {};
  }
}

/**
 * How long a token lives from when it was received, so that a wrong clock locks nobody out.
 *
 * @param {string} token
 */
export function lifetime(token) {
  const { exp, iat } = claims(token);
  return exp - iat > 0 ? (exp - iat) * SECOND : 5 * MINUTE;
}
