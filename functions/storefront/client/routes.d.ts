/** The rest of the API, route by route, for shops and account pages. Fields and refusals: docs/api.md of paidup. */

import type { Access, Checkout, Client, Purchase } from "./paidup.js";

export interface Offer {
  offer_id: string;
  name: string;
  kind: Access["kind"];
  amount?: number | null;
  currency: string;
  digits: number;
  description: string;
  interval?: string | null;
  interval_count: number;
  max_quantity: number;
  group?: string | null;
  allow_several: boolean;
  providers: string[];
  [field: string]: unknown;
}

export interface Account {
  customer_id: string;
  billing_version: number;
  access: Access[];
  purchases: Purchase[];
  checkout?: Checkout | null;
  booking?: Booking | null;
}

export interface Booking {
  booking_id: string;
  purchase_id: string;
  offer_id: string;
  status: "waiting" | "live" | "finished" | "cancelled" | "expired";
  created_at: number;
  remaining_s: number;
  if_called_off: "refunded" | "credited";
  [field: string]: unknown;
}

/** How a checkout stands, and what to do `next`: pay at its `url`, recover it, or nothing. */
export interface CheckoutStatus extends Checkout {
  next: "pay" | "recover" | "done";
  remaining_s: number;
  context?: unknown;
  replaced_by?: string | null;
  purchase?: Purchase | null;
}

export interface Routes {
  /** What is on sale. Nobody need be signed in. */
  offers(): Promise<Offer[]>;
  /** Everything that the customer has. */
  account(): Promise<Account>;
  /** Look for payments that never showed up. It may take 29 seconds. */
  sync(): Promise<{ scanned: number; granted: string[]; unchanged: number; problems: { ref: string; why: string }[] }>;
  checkout(checkoutId: string): Promise<CheckoutStatus>;
  /** End a checkout. One that was paid meanwhile comes back as `done`. */
  cancelCheckout(checkoutId: string): Promise<CheckoutStatus>;
  /** Go on with a checkout: the same one, or a new one with its cart and context, or the one that was paid. */
  recoverCheckout(checkoutId: string): Promise<Checkout>;
  /** Let a subscription sell another offer or quantity; with `preview`, only say what that costs. It may take 25 seconds. */
  changePurchase(
    purchaseId: string,
    wanted: { offer_id: string; quantity?: number },
    options?: { preview?: boolean; idempotencyKey?: string },
  ): Promise<any>;
  /** End a subscription with its period. It may take 25 seconds. */
  cancelPurchase(purchaseId: string): Promise<Purchase>;
  /** Take a cancellation back. It may take 25 seconds. */
  resumePurchase(purchaseId: string): Promise<Purchase>;
  /** Open the provider's page of cards and invoices. */
  billingPortal(returnUrl: string): Promise<{ url: string }>;
  /** A page of bookings: the customer's own, or with `status` those of a host. */
  bookings(query?: Record<string, string>): Promise<{ bookings: Booking[]; next?: string | null }>;
  acceptBooking(bookingId: string): Promise<Booking>;
  finishBooking(bookingId: string): Promise<Booking>;
  cancelBooking(bookingId: string): Promise<Booking>;
}

export function routes(client: Pick<Client, "call">): Routes;
