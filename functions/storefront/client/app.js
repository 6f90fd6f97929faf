/** Who is signed in, told by an app with a sign-in of its own. */

import { LIMIT_MS, claims, inTime, lifetime } from "./calls.js";
import { measured } from "./metrics.js";
import { Problem } from "./problem.js";
import { keepFresh } from "./tokens.js";

/** @type {typeof import("./app.js").appSession} */
export function appSession(load) {
  /** Counts the customers, so that a token that was asked for before one left is not kept after that. */
  let turn = 0;
  const tokens = keepFresh({
    key: "paidup.app-session",
    store: null,
    async renew(kept) {
      const own = turn;
      const token = await measured("session_refresh", () => inTime(asked({ fresh: Boolean(kept) }), LIMIT_MS));
      if (own !== turn) throw new Problem({}, "offline"); // it may be another customer's: who asked asks again
      return token ? { token, at: Date.now(), until: Date.now() + lifetime(token) } : null;
    },
  });
  /** @type {Set<() => void>} */
  const listeners = new Set();
  /**
   * Whose the token was: "" if nobody's, undefined as long as that is not known.
   *
   * @type {string | undefined}
   */
  let known;
  tokens.place.onChange((kept) => {
    if (!kept) turn += 1;
    compare();
  });

  /** @param {{ fresh: boolean }} options */
  async function asked(options) {
    try {
      return await load(options);
    } catch (failure) {
      throw failure instanceof Problem ? failure : Object.assign(new Problem({}, "offline"), { cause: failure });
    }
  }

  function compare() {
    const before = known;
    known = claims(tokens.place.get()?.token ?? "").sub ?? "";
    if (before !== undefined && before !== known) tell();
  }

  function tell() {
    for (const listener of listeners) listener();
  }

  return {
    async getToken(options) {
      const kept = await tokens.get(options);
      compare();
      return kept?.token ?? null;
    },
    onChange: (listener) => void listeners.add(listener),
    forget() {
      turn += 1;
      tokens.place.set(null);
      known = undefined;
      tell();
    },
  };
}
