/**
 * Who is signed in: OpenID Connect's authorization code flow with PKCE, against the issuer named in the page.
 *
 * The id token is what the API takes (its audience is our client id). It is kept in localStorage, because buyers
 * come back from a bank's app or an e-mail in another tab; it does not live long, only our own scripts may run here
 * (Content-Security-Policy), and signing out in one tab signs out all. What belongs to one sign-in stays in the
 * tab that began it. Lifetimes count from when a token was received, so a wrong clock locks nobody out.
 */

import { Problem } from "./paidup.js";

const SESSION = "paidup.session";
const UNDER_WAY = "paidup.sign-in";
const GO_ON = "paidup.go-on";
const CALLBACK = `${location.origin}/`;

const setting = (name) => document.querySelector(`meta[name="${name}"]`).content;
const issuer = setting("identity-issuer").replace(/\/$/, "");
const clientId = setting("identity-client");

/** The id token, or null where nobody is signed in. */
export const token = () => current()?.token ?? null;

/** How the signed-in customer is called, or null. */
export const who = () => current()?.name ?? null;

/** The roles of the signed-in customer. They only choose what is shown; what is allowed, the API decides. */
export function roles() {
  const claimed = token() ? claims(token()).roles : null;
  return typeof claimed === "string" ? claimed.split(",") : (claimed ?? []);
}

/**
 * Leave for the identity provider, and come back to this very page.
 *
 * @param {string|null} goOn - what the page wants to do next, given back by takeGoOn()
 */
export async function signIn(goOn = null) {
  if (!crypto.subtle) {
    throw new Problem({
      title: "Signing in needs a secure address",
      detail: "This browser signs in only over https, or at localhost on the same machine.",
      next: "Open the shop at its https address.",
    });
  }
  const { authorization_endpoint } = await discover();
  const verifier = random();
  const attempt = { state: random(), nonce: random(), verifier, back: location.pathname + location.search };
  sessionStorage.setItem(UNDER_WAY, JSON.stringify(attempt));
  if (goOn) sessionStorage.setItem(GO_ON, JSON.stringify(goOn));
  const url = new URL(authorization_endpoint);
  url.search = new URLSearchParams({
    response_type: "code",
    client_id: clientId,
    redirect_uri: CALLBACK,
    scope: "openid email",
    state: attempt.state,
    nonce: attempt.nonce,
    code_challenge: base64url(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier))),
    code_challenge_method: "S256",
  });
  location.assign(url);
}

/**
 * Take up a sign-in that has just come back to this address.
 *
 * @returns {Promise<string|null>} the page to go on with, or null where no sign-in came back
 */
export async function finishSignIn() {
  const answer = new URLSearchParams(location.search);
  if (!answer.has("state") || !(answer.has("code") || answer.has("error"))) return null;
  history.replaceState(null, "", location.pathname);
  const attempt = read(sessionStorage, UNDER_WAY);
  sessionStorage.removeItem(UNDER_WAY);
  if (attempt?.state !== answer.get("state")) throw notSignedIn("It was begun in another tab, or too long ago.");
  if (answer.has("error")) throw notSignedIn(answer.get("error_description") ?? "The sign-in page was left.");
  keep(await redeem(answer.get("code"), attempt.verifier), attempt.nonce);
  return attempt.back;
}

/**
 * What the page wanted to do before it left for a sign-in, once; null where there was nothing, or where that
 * sign-in failed: going on by itself then would leave for the next one, for ever.
 */
export function takeGoOn() {
  const goOn = read(sessionStorage, GO_ON);
  sessionStorage.removeItem(GO_ON);
  return token() && goOn;
}

/** Forget the customer here, and at the identity provider where it offers that. */
export async function signOut() {
  const was = token();
  localStorage.removeItem(SESSION);
  const { end_session_endpoint } = await discover().catch(() => ({}));
  if (!end_session_endpoint) return location.assign("/");
  const url = new URL(end_session_endpoint);
  // `logout_uri` is how Cognito calls what everybody else calls `post_logout_redirect_uri`.
  const back = { post_logout_redirect_uri: CALLBACK, logout_uri: CALLBACK };
  const ends = { client_id: clientId, id_token_hint: was ?? "", ...back };
  for (const [name, value] of Object.entries(ends)) url.searchParams.set(name, value);
  return location.assign(url);
}

/** Call *listener* when another tab signs in or out. */
export function onChange(listener) {
  addEventListener("storage", (event) => (event.key === SESSION || event.key === null) && listener());
}

function current() {
  const session = read(localStorage, SESSION);
  return session && Date.now() < session.until ? session : null;
}

async function discover() {
  return ask(`${issuer}/.well-known/openid-configuration`);
}

async function redeem(code, verifier) {
  const { token_endpoint } = await discover();
  const { id_token } = await ask(token_endpoint, {
    method: "POST",
    body: new URLSearchParams({
      grant_type: "authorization_code",
      client_id: clientId,
      redirect_uri: CALLBACK,
      code,
      code_verifier: verifier,
    }),
  });
  return id_token;
}

/** Keep a token that came straight from the token endpoint, which is why its signature is the API's to check. */
function keep(idToken, nonce) {
  const claimed = claims(idToken);
  if (claimed.nonce !== nonce || ![claimed.aud].flat().includes(clientId)) {
    throw notSignedIn("The answer was not meant for this shop.");
  }
  const session = {
    token: idToken,
    until: Date.now() + 1000 * (claimed.exp - claimed.iat),
    name: claimed.email ?? claimed.name ?? claimed.sub,
  };
  localStorage.setItem(SESSION, JSON.stringify(session));
}

const claims = (idToken) => JSON.parse(new TextDecoder().decode(bytes(idToken.split(".")[1])));

async function ask(url, options = {}) {
  let response;
  try {
    response = await fetch(url, { ...options, signal: AbortSignal.timeout(10_000) });
  } catch {
    throw new Problem({
      title: "Signing in does not answer",
      detail: "The sign-in service could not be reached.",
      next: "Try again in a moment.",
    });
  }
  if (!response.ok) throw notSignedIn(`The sign-in service answered ${response.status}.`);
  return response.json();
}

const notSignedIn = (detail) =>
  new Problem({ title: "You are not signed in", detail, next: "Sign in again: it starts afresh." });

const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

const base64url = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");

const bytes = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));

function read(storage, key) {
  try {
    return JSON.parse(storage.getItem(key));
  } catch {
    return null;
  }
}
