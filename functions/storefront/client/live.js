/** What a customer may use, as it is now: told by a WebSocket, and asked for while there is none. */

import { LIMIT_MS, MINUTE, SECOND, backOff, claims, inTime, lifetime } from "./calls.js";

/** @import { BillingChange, Connection } from "./paidup.js" */

/** The server ends a socket after 10 minutes without a word, and after 2 hours. */
const PING_MS = 4.75 * MINUTE;
const RENEW_MS = 110 * MINUTE;
/** A line that says nothing for so long, after it was asked, is dead. */
const DEAD_MS = 10 * SECOND;
const SEEN_MS = 15 * SECOND;
const HIDDEN_MS = 2 * MINUTE;
/** How long the socket may take before the API is asked instead. */
const HEAD_START_MS = 2 * SECOND;

/**
 * Follow the access of a customer.
 *
 * @param {object} options
 * @param {string | null} options.realtime - the address of the WebSocket
 * @param {(options?: { fresh?: boolean }) => Promise<string | null>} options.getToken - gives the identity token
 * @param {() => Promise<object>} options.ask - asks the API, and lets take() know what it says
 */
export function follow({ realtime, getToken, ask }) {
  /** @type {Set<(change: BillingChange) => void>} */
  const listeners = new Set();
  /** @type {Set<(connection: Connection) => void>} */
  const watchers = new Set();
  /** @type {BillingChange | null} */
  let known = null;
  /** @type {Connection} */
  let connection = "connecting";
  /** @type {WebSocket | null} */
  let socket = null;
  let running = false;
  let opening = false;
  let asking = false;
  let live = false;
  let failures = 0;
  /** Counts the customers, so that no answer for the one before is taken for this one's. */
  let turn = 0;
  /** @type {Record<string, ReturnType<typeof setTimeout>>} */
  const timers = {};

  /**
   * @param {string} name
   * @param {number} ms
   * @param {() => void} act
   */
  const later = (name, ms, act) => {
    clearTimeout(timers[name]);
    timers[name] = setTimeout(act, ms);
  };
  const jittered = (/** @type {number} */ ms) => ms * (0.9 + Math.random() / 10);

  /** @param {Connection} next */
  function show(next) {
    if (next === connection) return;
    connection = next;
    for (const watcher of watchers) watcher(next);
  }

  /**
   * Take *change* in, unless something newer or the same is known.
   *
   * @param {BillingChange & { access_cut?: boolean }} change - as the API or the socket tells it
   * @param {number} [whose] - the turn of the customer for whom it was asked
   */
  function take({ billing_version, access, truncated, access_cut }, whose = turn) {
    if (whose !== turn || (known && billing_version < known.billing_version)) return;
    const change = { billing_version, access, truncated: Boolean(truncated ?? access_cut) };
    if (JSON.stringify(change) === JSON.stringify(known)) return;
    known = change;
    const ends = access.map(({ until }) => (until ?? Infinity) * SECOND - Date.now()).filter((ms) => ms > 0);
    clearTimeout(timers.end);
    // The server decides whether access has ended; here the clock may be wrong.
    if (Math.min(...ends) < RENEW_MS) later("end", Math.min(...ends) + SECOND / 2, poll);
    for (const listener of listeners) listener(change);
  }

  /** @param {object} message */
  const send = (message) => {
    if (socket?.readyState === 1) socket.send(JSON.stringify(message));
    later("dead", DEAD_MS, lost);
  };
  const since = () => send({ action: "since", billing_version: known?.billing_version ?? -1 });

  async function open() {
    clearTimeout(timers.open);
    if (!running || !realtime || opening || socket) return;
    opening = true;
    const own = turn;
    const token = await inTime(getToken(), LIMIT_MS).catch(() => null);
    if (own !== turn) return;
    opening = false;
    if (!running) return;
    if (!token) return again();
    const line = new WebSocket(realtime, ["paidup.v1", `bearer.${token}`]);
    socket = line;
    later("dead", DEAD_MS, lost);
    const left = (claims(token).exp * SECOND || Infinity) - Date.now();
    // A token of which the clock here says that it has ended is taken to live as long as a new one.
    later("renew", Math.min(RENEW_MS, (left > 0 ? left : lifetime(token)) - MINUTE), renew);
    line.onopen = since;
    line.onmessage = ({ data }) => {
      if (socket === line) heard(data);
    };
    line.onclose = () => {
      if (socket === line) lost();
    };
  }

  /** @param {string} data */
  function heard(data) {
    /** @type {any} */
    let message = {};
    try {
      message = JSON.parse(data);
    } catch {
      // whatever it was, the line is alive
    }
    clearTimeout(timers.dead);
    later("ping", jittered(PING_MS), () => send({ action: "ping" }));
    if (message.type === "error") return;
    live = true;
    failures = 0;
    clearTimeout(timers.poll);
    show("live");
    if (message.type === "billing.changed") take(message);
  }

  function close() {
    const was = socket;
    socket = null;
    live = false;
    for (const name of ["dead", "ping", "renew"]) clearTimeout(timers[name]);
    // One that is not open yet would be complained of in the console.
    if (was?.readyState === 0) was.onopen = () => was.close();
    else was?.close();
  }

  /** The socket is gone: ask the API meanwhile, and open another one. */
  function lost() {
    close();
    if (!running) return;
    again();
    later("poll", Math.random() * SECOND, poll);
  }

  function again() {
    failures += 1;
    later("open", backOff(failures + 1, MINUTE), open);
  }

  function renew() {
    close();
    open();
    later("poll", HEAD_START_MS, poll);
  }

  async function poll() {
    clearTimeout(timers.poll);
    if (asking || !running) return;
    asking = true;
    const own = turn;
    const answered = await ask().catch(() => null); // asked again soon
    if (own !== turn) return;
    asking = false;
    if (!live) show(answered ? "polling" : "offline");
    if (running && !live) later("poll", jittered(document.hidden ? HIDDEN_MS : SEEN_MS), poll);
  }

  /** Look whether anything has changed, now. */
  function check() {
    if (!running) return;
    if (live) return since();
    failures = 0;
    open();
    poll();
  }

  document.addEventListener("visibilitychange", () => document.hidden || check());
  addEventListener("online", check);
  addEventListener("offline", () => {
    if (running) show("offline");
    if (socket) lost();
  });
  addEventListener("pagehide", close);
  addEventListener("pageshow", ({ persisted }) => persisted && check());

  function start() {
    running = true;
    open();
    later("poll", realtime ? HEAD_START_MS : 0, poll);
  }

  function stop() {
    running = false;
    close();
    for (const timer of Object.values(timers)) clearTimeout(timer);
    connection = "connecting";
  }

  return {
    take,
    check,
    get known() {
      return known;
    },
    get turn() {
      return turn;
    },
    /** Begin anew for another customer. */
    reset() {
      stop();
      turn += 1;
      known = null;
      asking = opening = false;
      if (listeners.size) start();
    },
    /** @param {(change: BillingChange) => void} listener */
    onBilling(listener) {
      listeners.add(listener);
      if (known) listener(known);
      if (!running) start();
      return () => {
        if (listeners.delete(listener) && !listeners.size) stop();
      };
    },
    /** @param {(connection: Connection) => void} watcher */
    onConnection(watcher) {
      watchers.add(watcher);
      watcher(connection);
      return () => void watchers.delete(watcher);
    },
  };
}
