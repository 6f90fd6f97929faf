/** Who is signed in, by OpenID Connect: the session of an app that has no sign-in of its own. */

import { LIMIT_MS, SECOND, claims, fetched, inTime, lifetime, now, pause } from "./calls.js";
import { measured } from "./metrics.js";
import { Problem } from "./problem.js";
import { storage } from "./tabs.js";
import { keepFresh } from "./tokens.js";

/** @import { OpenIdConnectOptions, OpenIdConnectSession } from "./openid.js" */

/** @typedef {import("./tokens.js").Kept & { name: string, sub: string, refresh?: string }} Kept */

const UNDER_WAY = "paidup.sign-in";
const GO_ON = "paidup.go-on";
/** How long the tab that used a refresh token first may take to share what it got. */
const SHARED_WITHIN_MS = 2 * SECOND;

/**
 * OpenID Connect's authorization code flow with PKCE, and refresh tokens that rotate.
 *
 * The id token is what the API takes: its audience is our client id. It is kept in localStorage, because buyers come back
 * from a bank's app or an e-mail in another tab; it does not live long, and signing out in one tab signs out all. What
 * belongs to one sign-in stays in the tab that began it.
 *
 * @param {OpenIdConnectOptions} options
 * @returns {OpenIdConnectSession}
 */
export function openIdConnect({ issuer, clientId, redirectUri = `${location.origin}/`, scope = "openid email" }) {
  const own = storage("sessionStorage");
  /** @type {Promise<Record<string, any>> | null} */
  let metadata = null;
  const tokens = keepFresh({
    key: "paidup.session",
    store: storage("localStorage"),
    renew: refreshed,
    canRenew: (/** @type {Kept} */ kept) => Boolean(kept.refresh),
  });
  const session = () => {
    const kept = tokens.place.get();
    return kept && (kept.refresh || Date.now() < kept.until) ? kept : null;
  };
  const whose = () => session()?.sub ?? "";
  let known = whose();
  /** @type {Set<() => void>} */
  const listeners = new Set();
  tokens.place.onChange(() => {
    if (whose() === known) return;
    known = whose();
    for (const listener of listeners) listener();
  });
  tokens.plan();

  const discover = () =>
    (metadata ??= ask(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`).catch((failure) => {
      metadata = null;
      throw failure;
    }));

  /** @param {Record<string, string>} form */
  async function redeem(form) {
    const { token_endpoint } = await discover();
    return ask(token_endpoint, { method: "POST", body: new URLSearchParams({ client_id: clientId, ...form }) });
  }

  /**
   * The next token of *kept*, by its refresh token. If another tab used that already, what that tab got. If it is good no
   * more, what is left of the token.
   *
   * @param {Kept | null} kept
   * @returns {Promise<Kept | null>}
   */
  async function refreshed(kept) {
    if (!kept?.refresh) return null;
    const form = { grant_type: "refresh_token", refresh_token: kept.refresh };
    try {
      const next = received(await measured("session_refresh", () => inTime(redeem(form), LIMIT_MS)), kept.refresh);
      if (next.sub !== kept.sub) throw notSignedIn("The answer was for somebody else.");
      return next;
    } catch (failure) {
      if (!(failure instanceof Problem) || failure.mayPass) throw failure;
      for (const end = now() + SHARED_WITHIN_MS; now() < end; await pause(100)) {
        const other = tokens.place.get();
        if (other?.refresh !== kept.refresh) return other;
      }
      return Date.now() < kept.until ? { ...kept, refresh: undefined } : null;
    }
  }

  /**
   * A token as it came straight from the token endpoint, which is why its signature is the API's to check.
   *
   * @param {Record<string, any>} answer
   * @param {string} [refresh] - the one that was used, if it goes on being good
   * @returns {Kept}
   */
  function received({ id_token: token, refresh_token: next }, refresh) {
    const { aud, sub, email, name } = claims(token);
    if (![aud].flat().includes(clientId)) throw notSignedIn("The answer was not meant for this shop.");
    const at = Date.now();
    return { token, at, until: at + lifetime(token), sub, name: email ?? name ?? sub, refresh: next ?? refresh };
  }

  /**
   * @param {string} url
   * @param {RequestInit} [init]
   * @returns {Promise<Record<string, any>>}
   */
  async function ask(url, init = {}) {
    const { response, text } = await fetched(url, init, LIMIT_MS);
    if (response.ok) return JSON.parse(text);
    if (response.status === 429 || response.status >= 500) throw new Problem({ status: 503 });
    throw notSignedIn(`The sign-in service answered ${response.status}.`);
  }

  /** @param {string} key */
  function take(key) {
    const text = own?.getItem(key);
    own?.removeItem(key);
    return text ? JSON.parse(text) : null;
  }

  return {
    getToken: async (options) => (session() && (await tokens.get(options))?.token) ?? null,
    get isSignedIn() {
      return Boolean(session());
    },
    get name() {
      return session()?.name ?? null;
    },
    get claims() {
      return claims(session()?.token ?? "");
    },

    async signIn(goOn) {
      if (!crypto.subtle) {
        throw new Problem({
          title: "Signing in needs a secure address",
          detail: "This browser signs in only over https, or at localhost on the same machine.",
          next: "Open the shop at its https address.",
        });
      }
      const { authorization_endpoint, scopes_supported = [] } = await discover();
      const verifier = random();
      const attempt = { state: random(), nonce: random(), verifier, back: location.pathname + location.search };
      own?.setItem(UNDER_WAY, JSON.stringify(attempt));
      if (goOn) own?.setItem(GO_ON, JSON.stringify(goOn));
      const url = new URL(authorization_endpoint);
      const asked = {
        response_type: "code",
        client_id: clientId,
        redirect_uri: redirectUri,
        scope: scopes_supported.includes("offline_access") ? `${scope} offline_access` : scope,
        state: attempt.state,
        nonce: attempt.nonce,
        code_challenge: base64url(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier))),
        code_challenge_method: "S256",
      };
      for (const [name, value] of Object.entries(asked)) url.searchParams.set(name, value);
      location.assign(url);
    },

    async finishSignIn() {
      const answer = new URLSearchParams(location.search);
      const code = answer.get("code");
      if (!answer.has("state") || !(code || answer.has("error"))) return null;
      history.replaceState(null, "", location.pathname);
      const attempt = take(UNDER_WAY);
      if (attempt?.state !== answer.get("state")) throw notSignedIn("It was begun in another tab, or too long ago.");
      if (!code) throw notSignedIn(answer.get("error_description") ?? "The sign-in page was left.");
      const form = { grant_type: "authorization_code", redirect_uri: redirectUri, code, code_verifier: attempt.verifier };
      const kept = received(await redeem(form));
      if (claims(kept.token).nonce !== attempt.nonce) throw notSignedIn("The answer was not meant for this shop.");
      tokens.place.set(kept);
      tokens.plan();
      known = whose();
      return attempt.back;
    },

    takeGoOn() {
      const goOn = take(GO_ON);
      return session() && goOn;
    },

    async signOut() {
      const ends = { client_id: clientId, id_token_hint: session()?.token ?? "" };
      tokens.place.set(null);
      storage("localStorage")?.removeItem("paidup.billing"); // the client's billing token ends with the sign-in
      known = "";
      const { end_session_endpoint } = await discover().catch(() => ({ end_session_endpoint: null }));
      if (!end_session_endpoint) return location.assign("/");
      const url = new URL(end_session_endpoint);
      // `logout_uri` is how Cognito calls what everybody else calls `post_logout_redirect_uri`.
      const back = { post_logout_redirect_uri: redirectUri, logout_uri: redirectUri };
      for (const [name, value] of Object.entries({ ...ends, ...back })) url.searchParams.set(name, value);
      return location.assign(url);
    },

    onChange: (listener) => void listeners.add(listener),
  };
}

/** @param {string} detail */
const notSignedIn = (detail) =>
  new Problem({ title: "You are not signed in", detail, next: "Sign in again: it starts afresh.", status: 400 });

const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

/** @param {ArrayBuffer | Uint8Array<ArrayBuffer>} buffer */
const base64url = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
