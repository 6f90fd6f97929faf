/** A reader of the client's types: an app that compiles against them as its own would. */

import { Problem, connect, type BillingChange, type Checkout, type Session } from "../../functions/storefront/client/paidup.js";
import { appSession } from "../../functions/storefront/client/app.js";
import { openIdConnect } from "../../functions/storefront/client/openid.js";
import { routes } from "../../functions/storefront/client/routes.js";

const own = appSession(async ({ fresh }) => (fresh ? null : "an.identity.token"));
export const leave: () => void = own.forget;
const asSession: Session = own;
const session = openIdConnect({ issuer: "https://identity.example", clientId: "app" });
const paidup = connect({ session, realtime: "wss://api.example/realtime" });

export async function buy(): Promise<string | null> {
  try {
    const checkout: Checkout | null = await paidup.pay(
      { offer_id: "monthly" },
      { onProgress: ({ step, attempt }) => console.log(step, attempt.toFixed()) },
    );
    return checkout?.url ?? null;
  } catch (failure) {
    if (failure instanceof Problem && failure.slug === "already-subscribed") return failure.purchaseId;
    throw failure;
  }
}

export const end: () => void = paidup.onBilling((change: BillingChange) => {
  const until: (number | null)[] = change.access.map((one) => one.until);
  console.log(until, paidup.has("monthly"));
});

export const members = async (): Promise<number> => (await paidup.authorizedFetch("/members")).status;
export const names = async (): Promise<string[]> => (await routes(connect({ session: asSession })).offers()).map((one) => one.name);

// @ts-expect-error: a cart names its offer
paidup.pay({ quantity: 1 });
