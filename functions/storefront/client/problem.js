/** What went wrong, in words for the person in front of the screen. */

/**
 * What a buyer reads where the API's own words are for engineers, or there are none, by slug, status or reason:
 * [title, detail, next]. An app may add to them, and put other words in their place.
 *
 * @type {Record<string | number, [title: string, detail: string, next: string]>}
 */
export const WORDS = {
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
  429: ["One moment, please", "That was asked for several times in a row.", "Wait a little, then try again."],
};
const TYPE = "urn:paidup:problem:";
/** @type {typeof WORDS[string]} */
const REFUSED = ["That did not work", "The shop could not do what was asked.", "Go back and try once more."];
/** @type {typeof WORDS[string]} */
const BROKEN = ["Something went wrong on our side", "Nothing is lost.", "Try again in a moment."];

/** A failed call, in words for the person in front of the screen. */
export class Problem extends Error {
  /**
   * @param {import("./paidup.js").ProblemAnswer} answer - an RFC 9457 problem, or as much of one as there was
   * @param {"offline" | "timeout" | "refused"} reason - "refused" if an answer came
   * @param {number} retryAfterMs - how long the API asked us to wait, 0 if it did not say
   */
  constructor(answer, reason = "refused", retryAfterMs = 0) {
    const status = answer.status ?? 0;
    const own = WORDS[answer.type?.replace(TYPE, "") ?? ""] ?? WORDS[status] ?? WORDS[reason];
    const [title, detail, next] = own ?? (status >= 500 ? BROKEN : REFUSED);
    super(own ? title : (answer.title ?? title));
    this.name = "Problem";
    this.status = status;
    this.reason = reason;
    this.type = answer.type ?? "about:blank";
    this.slug = this.type.replace(TYPE, "");
    this.purchaseId = answer.purchase_id ?? null;
    this.title = this.message;
    this.detail = own ? detail : (answer.detail ?? detail);
    this.next = own ? next : (answer.next ?? next);
    this.requestId = answer.request_id ?? "";
    this.retryAfterMs = retryAfterMs;
    this.retryable = answer.retryable ?? true;
  }

  /** True where only a new sign-in helps. */
  get needsSignIn() {
    return this.status === 401;
  }

  /** True where the same call may well succeed a little later. */
  get mayPass() {
    return this.retryable && (this.status === 0 || this.status === 429 || this.status >= 500);
  }
}
