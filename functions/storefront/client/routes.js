/** The rest of the API, route by route, for shops and account pages. Refusals and fields: docs/api.md. */

/** @type {typeof import("./routes.js").routes} */
export function routes({ call }) {
  const id = encodeURIComponent;
  const LONG = { limitMs: 25_000 };
  return {
    offers: async () => (await call("GET", "/offers", { open: true })).offers,

    async account() {
      const account = await call("GET", "/subscription-status");
      while (account.next) {
        const more = await call("GET", `/subscription-status?after=${id(account.next)}`);
        Object.assign(account, { next: more.next, purchases: [...account.purchases, ...more.purchases] });
      }
      return account;
    },
    sync: () => call("POST", "/sync", { limitMs: 29_000 }),

    checkout: (checkoutId) => call("GET", `/checkouts/${id(checkoutId)}`),
    cancelCheckout: (checkoutId) => call("DELETE", `/checkouts/${id(checkoutId)}`),
    recoverCheckout: (checkoutId) => call("POST", `/checkouts/${id(checkoutId)}/recover`, { again: true }),

    changePurchase: (purchaseId, wanted, { preview = false, idempotencyKey } = {}) =>
      call("POST", `/purchases/${id(purchaseId)}/change${preview ? "?preview=true" : ""}`, {
        body: wanted,
        key: idempotencyKey,
        ...LONG,
      }),
    cancelPurchase: (purchaseId) => call("POST", `/purchases/${id(purchaseId)}/cancel`, LONG),
    resumePurchase: (purchaseId) => call("POST", `/purchases/${id(purchaseId)}/resume`, LONG),
    billingPortal: (returnUrl) => call("POST", "/billing-portal", { body: { return_url: returnUrl }, limitMs: 9_000 }),

    bookings: (query = {}) => call("GET", `/bookings?${new URLSearchParams(query)}`),
    acceptBooking: (bookingId) => call("POST", `/bookings/${id(bookingId)}/accept`),
    finishBooking: (bookingId) => call("POST", `/bookings/${id(bookingId)}/finish`),
    cancelBooking: (bookingId) => call("POST", `/bookings/${id(bookingId)}/cancel`),
  };
}
