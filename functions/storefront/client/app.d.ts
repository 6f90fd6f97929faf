/** Who is signed in, told by an app with a sign-in of its own. */

import type { Session } from "./paidup.js";

export interface AppSession extends Session {
  onChange(listener: () => void): void;
  /** Forget the customer in every tab: the app has signed them out, or somebody else in. */
  forget(): void;
}

/**
 * The session of an app that signs people in itself. *load* gives the app's identity token, or null if nobody is signed
 * in. It is asked by one tab at a time, and before the token ends. `fresh`: another one than it gave before. If it throws,
 * that counts as no answer, and it is asked again.
 */
export function appSession(load: (options: { fresh: boolean }) => Promise<string | null> | string | null): AppSession;
