/** Who is signed in, by OpenID Connect: authorization code with PKCE, and refresh tokens that rotate. */

import type { Session } from "./paidup.js";

export interface OpenIdConnectOptions {
  issuer: string;
  /** The client's id, which is the audience of its id tokens. */
  clientId: string;
  /** Where the sign-in comes back to; the root of the page's origin unless given. */
  redirectUri?: string;
  /** `openid email` unless given. `offline_access` is added if the issuer offers it. */
  scope?: string;
}

export interface OpenIdConnectSession extends Session {
  readonly isSignedIn: boolean;
  /** How the customer is called, or null. */
  readonly name: string | null;
  /** What the id token claims, for what is shown alone: what is allowed, the API decides. */
  readonly claims: Record<string, any>;
  /** Leave for the issuer, and come back to this page. `goOn` is what the page wants to do then. */
  signIn(goOn?: string | null): Promise<void>;
  /** Take up a sign-in that has just come back. Gives the page to go on with, or null if none came back. */
  finishSignIn(): Promise<string | null>;
  /** What the page wanted to do before it left for a sign-in, once; null if that sign-in failed. */
  takeGoOn(): string | null;
  /** Forget the customer in every tab, and at the issuer if it offers that. */
  signOut(): Promise<void>;
  onChange(listener: () => void): void;
}

export function openIdConnect(options: OpenIdConnectOptions): OpenIdConnectSession;
