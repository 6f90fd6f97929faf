/**
 * The browser client of paidup's HTTP API. It needs nothing but fetch and knows nothing of a page.
 *
 *   const paidup = connect({ token: () => idToken });
 *   const checkout = await paidup.createPaymentToken({ offer_id: "monthly", success_url, cancel_url });
 *   const { state, purchase } = await paidup.confirm(checkout_id, { onAttempt: ({ attempt, tries }) => … });
 *
 * Every failure is a Problem: what happened, what to do next, and whether trying again can help.
 */

const POLL_TRIES = 15;
const POLL_EVERY_MS = 2000;

/** What a buyer reads where the API's own words are for engineers, or there are none: [title, detail, next]. */
const WORDS = {
  offline: [
    "We cannot reach the shop",
    "No answer came back. You may be offline for a moment.",
    "Check your connection, then try again.",
  ],
  timeout: [
    "This is taking too long",
    "The shop did not answer in time.",
    "Try again: doing it twice does no harm.",
  ],
  401: ["Please sign in again", "Your sign-in has ended.", "Once you are signed in, you go on where you were."],
  404: [
    "We cannot find this in your account",
    "It may belong to another sign-in of yours.",
    "Sign in with the address that you bought with, or look in your account.",
  ],
  "booking-in-the-way": [
    "You have a live session already",
    "It waits to be accepted, or is under way. There is one at a time.",
    "Your account shows it, and lets you cancel it while it waits. Passes and subscriptions can be bought as ever.",
  ],
  "booking-closed": [
    "The booking has moved on",
    "It was accepted, was cancelled, or ran out of time a moment ago.",
    "Look again: what you see may be a moment old.",
  ],
  replaced: [
    "You chose something else meanwhile",
    "Another window of yours opened another payment page, and this one was closed. Nothing was charged on it.",
    "Go on in the other window, or choose again here.",
  ],
  429: ["One moment, please", "That was asked for several times in a row.", "Wait a little, then try again."],
};
const TYPE = "urn:paidup:problem:";
const REFUSED = ["That did not work", "The shop could not do what was asked.", "Go back and try once more."];
const BROKEN = ["Something went wrong on our side", "Nothing is lost.", "Try again in a moment."];

/** A failed call, in words for the person in front of the screen. */
export class Problem extends Error {
  /**
   * @param {object} answer - an RFC 9457 problem, or as much of one as there was
   * @param {"offline"|"timeout"|"refused"} reason - "refused" where an answer came
   * @param {number} retryAfterMs - how long the API asked us to wait, 0 where it did not say
   */
  constructor(answer, reason = "refused", retryAfterMs = 0) {
    const status = answer.status ?? 0;
    const own = WORDS[answer.type?.replace(TYPE, "")] ?? WORDS[status] ?? WORDS[reason];
    const [title, detail, next] = own ?? (status >= 500 ? BROKEN : REFUSED);
    super(own ? title : (answer.title ?? title));
    this.name = "Problem";
    this.status = status;
    this.reason = reason;
    this.type = answer.type ?? "about:blank";
    this.title = this.message;
    this.detail = own ? detail : (answer.detail ?? detail);
    this.next = own ? next : (answer.next ?? next);
    this.requestId = answer.request_id ?? "";
    this.retryAfterMs = retryAfterMs;
  }

  /** True where only a new sign-in helps. */
  get needsSignIn() {
    return this.status === 401;
  }

  /** True where the same call may well succeed a little later. */
  get mayPass() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/**
 * A client of the API at *origin*.
 *
 * @param {object} options
 * @param {() => string|null} options.token - gives the bearer token for each call, or null
 * @param {string} options.origin - where the API lives; the page's own origin unless told
 */
export function connect({ token = () => null, origin = location.origin } = {}) {
  async function call(method, path, { body, seconds = 10, headers = {}, signal } = {}) {
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(), seconds * 1000);
    const bearer = token();
    let response;
    let text;
    try {
      response = await fetch(new URL(path, origin), {
        method,
        headers: {
          Accept: "application/json, application/problem+json",
          ...(body === undefined ? {} : { "Content-Type": "application/json" }),
          ...(bearer ? { Authorization: `Bearer ${bearer}` } : {}),
          ...headers,
        },
        body: body === undefined ? undefined : JSON.stringify(body),
        signal: signal ? AbortSignal.any([signal, limit.signal]) : limit.signal,
        cache: "no-store",
      });
      text = await response.text();
    } catch (failure) {
      if (signal?.aborted) throw failure;
      throw new Problem({}, limit.signal.aborted ? "timeout" : "offline");
    } finally {
      clearTimeout(timer);
    }
    const answer = readJson(text);
    if (response.ok && answer) return answer;
    throw new Problem(
      { ...(isProblem(response) ? answer : {}), status: response.ok ? 502 : response.status },
      "refused",
      1000 * (Number.parseInt(response.headers.get("Retry-After"), 10) || 0),
    );
  }

  return {
    /** What is for sale: `[{offer_id, name, kind, amount, currency, interval?, providers}]`. */
    offers: async () => (await call("GET", "/offers")).offers,

    /**
     * Open a checkout, or get the one already open for the same cart. The API appends `checkout_id` to both
     * return addresses. Calling it twice is harmless.
     */
    createPaymentToken: (cart, { idempotencyKey } = {}) =>
      call("POST", "/payment-tokens", {
        body: cart,
        seconds: 15,
        headers: idempotencyKey ? { "Idempotency-Key": idempotencyKey } : {},
      }),

    /** How one checkout stands: `{state, attempt_after_ms, purchase?, billing_version, timeline}`. */
    status: (checkoutId, { signal } = {}) =>
      call("GET", `/subscription-status/${encodeURIComponent(checkoutId)}`, { signal, seconds: 8 }),

    /**
     * Ask until a checkout is decided, and give the last answer: `state` is still "confirming" when every try is
     * used up. A call that fails in passing counts as a try and is reported; any other Problem is thrown.
     *
     * @param {(look: {attempt: number, tries: number, problem: Problem|null}) => void} options.onAttempt
     *   called before each try; `problem` is why the one before it had no answer
     */
    async confirm(checkoutId, { tries = POLL_TRIES, everyMs = POLL_EVERY_MS, onAttempt = () => {}, signal } = {}) {
      let look = { state: "confirming" };
      let problem = null;
      for (let attempt = 1; attempt <= tries; attempt += 1) {
        await visible(signal);
        onAttempt({ attempt, tries, problem });
        problem = null;
        try {
          look = await this.status(checkoutId, { signal });
          if (look.state !== "confirming") return look;
        } catch (failure) {
          if (!failure.mayPass) throw failure;
          problem = failure;
        }
        if (attempt < tries) await pause(problem?.retryAfterMs || look.attempt_after_ms || everyMs, signal);
      }
      return { ...look, problem };
    },

    /** Everything the customer has: `{customer_id, billing_version, access, purchases, checkout?, booking?}`. */
    async account() {
      const account = await call("GET", "/subscription-status");
      while (account.next) {
        const more = await call("GET", `/subscription-status?after=${encodeURIComponent(account.next)}`);
        Object.assign(account, { next: more.next, purchases: [...account.purchases, ...more.purchases] });
      }
      return account;
    },

    /** Look for payments that never showed up: `{scanned, granted, unchanged, problems}`. */
    sync: () => call("POST", "/sync", { seconds: 29 }),

    /**
     * How a checkout stands: what createPaymentToken gave, and `remaining_s`, the `context` that was given with it,
     * `replaced_by?`, `purchase?`, and what to do `next`: "pay" at its `url`, "recover" it, or nothing, since it is "done".
     */
    checkout: (checkoutId) => call("GET", `/checkouts/${encodeURIComponent(checkoutId)}`),

    /** End a checkout that nobody wants any more, and give how it stands then: "done", where it had been paid. */
    cancelCheckout: (checkoutId) => call("DELETE", `/checkouts/${encodeURIComponent(checkoutId)}`),

    /** Go on with a checkout: gives the same one, or a new one with its cart and context, or the one that was paid. */
    recoverCheckout: (checkoutId) =>
      call("POST", `/checkouts/${encodeURIComponent(checkoutId)}/recover`, { seconds: 15 }),

    /**
     * A page of the customer's bookings, the newest first: `{bookings, next?}`. Who gives sessions gets those of
     * everybody with the status "waiting", and those that they accepted with "live", the longest first; `after` takes
     * the `next` of the page before.
     */
    bookings: (query = {}) => call("GET", `/bookings?${new URLSearchParams(query)}`),

    /** Accept a waiting booking, as one who gives sessions; of two at once exactly one has it. */
    acceptBooking: (bookingId) => call("POST", `/bookings/${encodeURIComponent(bookingId)}/accept`),

    /** End a live session that took place. */
    finishBooking: (bookingId) => call("POST", `/bookings/${encodeURIComponent(bookingId)}/finish`),

    /**
     * Call a booking off: its customer while it waits, or the one who accepted it. Its `if_called_off` says what becomes
     * of the money: "refunded" or "credited".
     */
    cancelBooking: (bookingId) => call("POST", `/bookings/${encodeURIComponent(bookingId)}/cancel`),
  };
}

const isProblem = (response) => response.headers.get("Content-Type")?.includes("application/problem+json");

function readJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Wait *ms*, or until *signal* aborts. */
function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)), { once: true });
  });
}

/** Wait until somebody can see the page: a hidden tab asks nothing. */
function visible(signal) {
  signal?.throwIfAborted();
  if (document.visibilityState === "visible") return Promise.resolve();
  return new Promise((resolve) => {
    document.addEventListener("visibilitychange", resolve, { once: true });
  });
}
