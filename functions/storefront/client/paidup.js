/**
 * The browser client of paidup. It needs nothing but a browser, and knows nothing of a page.
 *
 *   const session = openIdConnect({ issuer, clientId }); // of openid.js, or appSession(…) of app.js
 *   const paidup = connect({ session, realtime: "wss://…/realtime" });
 *   const { url } = await paidup.pay({ offer_id: "monthly" }, { onProgress });
 *   paidup.onBilling(() => show(paidup.has("monthly")));
 *
 * Every failure is a Problem: what happened, what to do next, and whether trying again can help.
 */

import { LIMIT_MS, MINUTE, PATIENCE_MS, SECOND, claims, fetched, inTime, lifetime, now, pause, tried } from "./calls.js";
import { follow } from "./live.js";
import { measured, reportTo } from "./metrics.js";
import { Problem, WORDS } from "./problem.js";
import { storage } from "./tabs.js";
import { keepFresh } from "./tokens.js";

export { Problem, WORDS };

const POLL_TRIES = 15;
const POLL_EVERY_MS = 2 * SECOND;
/** Where a tab keeps a cart from the click until its payment page is open, a sign-in between them included. */
const CART = "paidup.cart";

/** @typedef {{ cart: import("./paidup.js").Cart, key: string }} KeptCart */

/** @type {typeof import("./paidup.js").connect} */
export function connect({ session = { getToken: async () => null }, origin = location.origin, realtime = null, metrics = true } = {}) {
  const own = storage("sessionStorage");
  reportTo(metrics ? new URL("/client-metrics", origin) : null);

  /** @param {{ fresh?: boolean }} [options] */
  const identity = (options) => inTime(session.getToken(options), LIMIT_MS);

  /** @typedef {import("./tokens.js").Kept & { billing_version: number, sub: string }} Billing */
  const billing = keepFresh({
    key: "paidup.billing",
    store: storage("localStorage"),
    /** @returns {Promise<Billing | null>} */
    async renew() {
      const { token, billing_version } = await measured("token_refresh", () => call("POST", "/billing-token", { again: true }));
      const at = Date.now();
      return { token, billing_version, at, until: at + lifetime(token), sub: claims(token).sub };
    },
    // It is renewed ahead of time for who used it lately, and by the tab that can be seen.
    canRenew: () => !document.hidden && now() - usedAt < 15 * MINUTE,
  });
  let usedAt = -Infinity;

  const live = follow({
    realtime,
    getToken: identity,
    ask: () => call("GET", "/subscription-status?limit=1"),
  });
  session.onChange?.(() => {
    billing.place.set(null);
    live.reset();
  });

  /**
   * The billing token: of the customer who is signed in, and not older than what is known of the access.
   *
   * @param {boolean} [fresh]
   */
  async function billingToken(fresh) {
    usedAt = now();
    const { sub } = claims((await identity()) ?? "");
    const kept = billing.place.get();
    const stale = kept && (kept.sub !== sub || kept.billing_version < (live.known?.billing_version ?? 0));
    return (await billing.get({ fresh: fresh || Boolean(stale) }))?.token ?? null;
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {object} [options]
   * @param {object} [options.body]
   * @param {number} [options.limitMs] - how long one try may take
   * @param {number} [options.patienceMs] - how long all tries together may take
   * @param {string} [options.key] - the Idempotency-Key, under which doing it twice does no harm
   * @param {boolean} [options.again] - whether doing it twice does no harm anyhow
   * @param {boolean} [options.open] - whether it needs nobody to be signed in
   * @param {AbortSignal} [options.signal]
   * @param {(attempt: number, problem: Problem) => void} [options.onRetry]
   * @returns {Promise<any>}
   */
  function call(method, path, { body, limitMs = LIMIT_MS, key, open = false, signal, onRetry, ...options } = {}) {
    const { again = method === "GET" || method === "DELETE" || Boolean(key), patienceMs = Math.max(PATIENCE_MS, limitMs) } = options;
    /** @param {string | null} token @param {number} leftMs */
    const send = (token, leftMs) =>
      fetched(
        new URL(path, origin),
        {
          method,
          headers: {
            ...(body && { "Content-Type": "application/json" }),
            ...(token && { Authorization: `Bearer ${token}` }),
            ...(key && { "Idempotency-Key": key }),
          },
          body: body && JSON.stringify(body),
          signal,
        },
        Math.min(limitMs, leftMs),
      );
    /** @param {number} leftMs */
    const act = async (leftMs) => {
      const end = now() + leftMs;
      const whose = live.turn;
      const token = open ? null : await identity();
      if (!open && !token) throw new Problem({ status: 401 });
      let answer = await send(token, end - now());
      if (answer.response.status === 401 && token) {
        const next = await another(token);
        if (next) answer = await send(next, end - now());
      }
      const body = read(answer);
      if (body?.access) live.take(body, whose);
      return body;
    };
    return tried(act, { again, patienceMs, signal, onRetry });
  }

  /**
   * Another identity token than the *refused* one, or null.
   *
   * @param {string} refused
   */
  async function another(refused) {
    for (const fresh of [false, true]) {
      const token = await identity({ fresh });
      if (token !== refused) return token;
    }
    return null;
  }

  /** @returns {KeptCart | null} */
  const keptCart = () => JSON.parse(own?.getItem(CART) ?? "null");

  /**
   * Keep *cart*, and give the key under which it is bought once.
   *
   * @param {import("./paidup.js").Cart} cart
   */
  function keep(cart) {
    const key = crypto.randomUUID();
    own?.setItem(CART, JSON.stringify({ cart, key }));
    return key;
  }

  return {
    get access() {
      return live.known?.access ?? null;
    },
    get cart() {
      return keptCart()?.cart ?? null;
    },
    has: (offerId) => Boolean(live.known?.access.some((one) => one.offer_id === offerId)),
    onBilling: live.onBilling,
    onConnection: live.onConnection,
    check: live.check,
    billingToken: () => billingToken(),
    call,

    pay(cart, { goOn, onProgress = () => {}, signal } = {}) {
      const before = keptCart();
      const isSame = JSON.stringify(before?.cart) === JSON.stringify(cart);
      const key = before && isSame ? before.key : keep(cart);
      /** @type {(step: "signing-in" | "opening", attempt?: number, problem?: Problem | null) => void} */
      const progress = (step, attempt = 1, problem = null) => onProgress({ step, attempt, problem });
      progress("opening");
      /** @param {number} leftMs */
      const open = async (leftMs) => {
        if (session.signIn && !(await identity())) {
          progress("signing-in");
          await session.signIn(goOn);
          return null;
        }
        const checkout = await call("POST", "/payment-tokens", { body: cart, key, again: false, patienceMs: leftMs, signal });
        own?.removeItem(CART);
        return checkout;
      };
      const onRetry = (/** @type {number} */ attempt, /** @type {Problem} */ problem) => progress("opening", attempt + 1, problem);
      return measured("payment", () => tried(open, { again: true, patienceMs: PATIENCE_MS, signal, onRetry })).catch((failure) => {
        // The choice is kept. Its key is, too, as long as nobody knows whether it was bought.
        if (failure instanceof Problem && !failure.mayPass && !failure.needsSignIn) keep(cart);
        throw failure;
      });
    },

    dropCart: () => own?.removeItem(CART),

    async confirm(checkoutId, { tries = POLL_TRIES, onProgress = () => {}, signal } = {}) {
      const path = `/subscription-status/${encodeURIComponent(checkoutId)}`;
      /** @type {(nothing?: any) => void} */
      let wake = () => {};
      // A newer version of the billing may be what is waited for: then look at once.
      const compare = () => (live.known?.billing_version ?? 0) > look.billing_version && wake();
      /** @type {import("./paidup.js").Look} */
      let look = { state: "confirming", attempt_after_ms: 0, billing_version: 0, timeline: [] };
      const stop = live.onBilling(compare);
      /** @type {Problem | null} */
      let problem = null;
      try {
        for (let attempt = 1; attempt <= tries; attempt += 1) {
          await visible(signal);
          onProgress({ step: "confirming", attempt, tries, problem });
          problem = null;
          try {
            look = await measured("confirm", () => call("GET", path, { again: false, signal }));
            if (look.state !== "confirming") return look;
          } catch (failure) {
            if (!(failure instanceof Problem) || !failure.mayPass) throw failure;
            problem = failure;
          }
          const waitMs = problem?.retryAfterMs || look.attempt_after_ms || POLL_EVERY_MS;
          const change = new Promise((resolve) => (wake = resolve));
          compare();
          if (attempt < tries) await Promise.race([pause(waitMs, signal), change]);
        }
        return { ...look, problem };
      } finally {
        stop();
      }
    },

    async authorizedFetch(path, init = {}) {
      const url = new URL(path, origin);
      if (url.origin !== new URL(origin).origin) throw new TypeError("The billing token stays with its origin.");
      /** @param {boolean} fresh @param {number} leftMs */
      const send = async (fresh, leftMs) => {
        const token = await inTime(billingToken(fresh), leftMs);
        if (!token) throw new Problem({ status: 401 });
        const headers = new Headers(init.headers);
        headers.set("Authorization", `Bearer ${token}`);
        return { token, ...(await fetched(url, { ...init, headers }, Math.min(LIMIT_MS, leftMs))) };
      };
      const { response, text } = await tried(
        async (leftMs) => {
          const end = now() + leftMs;
          const answer = await send(false, leftMs);
          // A token may be older than the access that was just paid for, and no longer good after the access that ended.
          const isOld = answer.response.status === 401 || (answer.response.status === 403 && isStale(answer.token));
          return isOld ? send(true, end - now()) : answer;
        },
        { again: (init.method ?? "GET") === "GET", patienceMs: PATIENCE_MS, signal: init.signal ?? undefined },
      );
      return new Response(text || null, response);
    },
  };

  /**
   * Whether a billing token says another thing than what is known by now.
   *
   * @param {string} token
   */
  function isStale(token) {
    const kept = billing.place.get();
    return kept?.token !== token || kept.billing_version !== live.known?.billing_version;
  }
}

/**
 * The body of an answer; throws the Problem that it is.
 *
 * @param {{ response: Response, text: string }} answer
 */
function read({ response, text }) {
  /** @type {any} */
  let body = null;
  try {
    body = JSON.parse(text);
  } catch {
    // no JSON: nothing that the API says
  }
  if (response.ok && (body || response.status === 204)) return body;
  throw new Problem(
    { ...body, status: response.ok ? 502 : response.status },
    "refused",
    SECOND * (Number.parseInt(response.headers.get("Retry-After") ?? "", 10) || 0),
  );
}

/**
 * Wait until somebody can see the page: a hidden tab asks nothing.
 *
 * @param {AbortSignal} [signal]
 */
function visible(signal) {
  signal?.throwIfAborted();
  return new Promise((resolve) => {
    if (document.visibilityState === "visible") resolve(null);
    document.addEventListener("visibilitychange", resolve, { once: true });
  });
}
