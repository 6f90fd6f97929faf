/** The browser client of paidup. What it does and when: README.md. Routes, fields and refusals: docs/api.md of paidup. */

/** Something that the customer may use now. `until` is in epoch seconds, null without an end. */
export interface Access {
  purchase_id?: string;
  offer_id: string;
  kind: "pass" | "subscription" | "live_session";
  status: string;
  quantity: number;
  until: number | null;
  uses?: number | null;
  uses_left?: number | null;
}

/** All that the customer may use, as of a version of the account. `truncated`: there is more than the list holds. */
export interface BillingChange {
  billing_version: number;
  access: Access[];
  truncated?: boolean;
}

/** `live`: changes are told within a second. `polling`: they are asked for. `offline`: the API cannot be reached. */
export type Connection = "connecting" | "live" | "polling" | "offline";

export interface Cart {
  offer_id: string;
  quantity?: number;
  provider?: string;
  promotion_code?: string;
  context?: unknown;
  success_url?: string;
  cancel_url?: string;
}

/** A checkout. `url` is the page on which the buyer pays; without it, it was paid already. Amounts are in minor units. */
export interface Checkout {
  checkout_id: string;
  status: string;
  offer_id: string;
  quantity: number;
  amount: number;
  currency: string;
  provider: string;
  token?: string | null;
  url?: string | null;
  expires_at: number;
  replaced_checkout_id?: string | null;
}

export interface Purchase {
  purchase_id: string;
  offer_id: string;
  kind: Access["kind"];
  status: string;
  quantity: number;
  amount: number;
  currency: string;
  until?: number | null;
  renews_at?: number | null;
  cancel_at?: number | null;
  [field: string]: unknown;
}

/** One look at a checkout. `problem` is why the last try had no answer. */
export interface Look {
  state: "confirming" | "active" | "failed" | "expired" | "refunded";
  attempt_after_ms: number;
  billing_version: number;
  timeline: { what: string; at: number; said_by: string; channel: string; provider_paid_at: number | null; heard_at: number | null; settled_at: number }[];
  purchase?: Purchase;
  problem?: Problem | null;
}

/** Where a call is. `problem` is why the try before this one failed. */
export interface Progress<Step extends string> {
  step: Step;
  attempt: number;
  problem: Problem | null;
}

/** An RFC 9457 problem, as the API answers it. */
export interface ProblemAnswer {
  type?: string;
  title?: string;
  detail?: string;
  next?: string;
  status?: number;
  request_id?: string;
  retryable?: boolean;
  purchase_id?: string;
}

/** What went wrong, in words for the person in front of the screen. */
export class Problem extends Error {
  constructor(answer: ProblemAnswer, reason?: "offline" | "timeout" | "refused", retryAfterMs?: number);
  /** The status of the answer; 0 if none came. */
  readonly status: number;
  /** `refused` if an answer came. */
  readonly reason: "offline" | "timeout" | "refused";
  readonly type: string;
  /** The end of `type`, such as `already-subscribed`. */
  readonly slug: string;
  readonly title: string;
  readonly detail: string;
  /** What to do next. */
  readonly next: string;
  readonly requestId: string;
  readonly purchaseId: string | null;
  readonly retryable: boolean;
  /** How long the API asked to wait, 0 if it did not say. */
  readonly retryAfterMs: number;
  /** True if only a new sign-in helps. */
  get needsSignIn(): boolean;
  /** True if the same call may succeed a little later. */
  get mayPass(): boolean;
}

/** The words of problems by slug, status or reason: `[title, detail, next]`. Add to them, or translate them. */
export const WORDS: Record<string | number, [title: string, detail: string, next: string]>;

/** Who is signed in: openIdConnect() of openid.js, appSession() of app.js, or an object of the app's own. */
export interface Session {
  /** The identity token that is good now, or null if nobody is signed in. `fresh`: the one before was refused. */
  getToken(options?: { fresh?: boolean }): Promise<string | null>;
  /** Leave for a sign-in that comes back to this page. `goOn` is what the page wants to do then. */
  signIn?(goOn?: string | null): Promise<void>;
  /** Call *listener* when another customer is signed in, or nobody any more. */
  onChange?(listener: () => void): void;
}

/** How long something took, and how it ended. */
export interface Metric {
  name: "payment" | "session_refresh" | "token_refresh" | "confirm";
  outcome: "success" | "failure" | "timeout";
  ms: number;
}

export interface CallOptions {
  body?: object;
  /** How long one try may take; 5,000 unless given. */
  limitMs?: number;
  /** How long all tries together may take; 9,000 unless given. */
  patienceMs?: number;
  /** The Idempotency-Key, under which doing it twice does no harm. */
  key?: string;
  /** Whether doing it twice does no harm anyhow; true of GET and DELETE. */
  again?: boolean;
  /** Whether it needs nobody to be signed in. */
  open?: boolean;
  signal?: AbortSignal;
  onRetry?: (attempt: number, problem: Problem) => void;
}

export interface Options {
  session?: Session;
  /** Where the API is; the origin of the page unless given. */
  origin?: string;
  /** The address of the WebSocket; without it, changes are asked for every 15 seconds. */
  realtime?: string | null;
  /** Whether to report how long things took, without anything of the person. */
  metrics?: boolean;
}

export interface Client {
  /** What the customer may use, as far as it is known; null before that. */
  readonly access: Access[] | null;
  /** The cart of this tab that is not bought yet. It outlives a sign-in and a failure. */
  readonly cart: Cart | null;
  dropCart(): void;
  /** Whether the customer may use *offerId* now, as far as it is known. */
  has(offerId: string): boolean;
  /** Call *listener* with what is known, and with each change: never with an older version after a newer one. Returns what ends that. */
  onBilling(listener: (change: BillingChange) => void): () => void;
  /** Call *watcher* with how changes become known, now and whenever that changes. Returns what ends that. */
  onConnection(watcher: (connection: Connection) => void): () => void;
  /** Look now whether the billing has changed. */
  check(): void;
  /** Open the checkout of *cart* within 9 seconds, or fail. Gives null when it has left for a sign-in: then pay `cart` again. */
  pay(
    cart: Cart,
    options?: {
      /** Given to the sign-in, if one is needed. */
      goOn?: string | null;
      onProgress?: (progress: Progress<"signing-in" | "opening">) => void;
      signal?: AbortSignal;
    },
  ): Promise<Checkout | null>;
  /** Ask until a checkout is decided. Gives the last look: still `confirming` when every try is used up. */
  confirm(
    checkoutId: string,
    options?: {
      tries?: number;
      onProgress?: (progress: Progress<"confirming"> & { tries: number }) => void;
      signal?: AbortSignal;
    },
  ): Promise<Look>;
  /** Fetch from the API's origin with the billing token, which is renewed if it is not good any more. */
  authorizedFetch(path: string, init?: RequestInit): Promise<Response>;
  /** The billing token, for a backend of your own that checks it. */
  billingToken(): Promise<string | null>;
  /** Call a route of the API. */
  call(method: string, path: string, options?: CallOptions): Promise<any>;
}

export function connect(options?: Options): Client;
