/** What runs, and what it can become. It knows the API's rules of groups, and nothing of a page. */

/** The group of a subscription whose offer names none, and of one whose offer is no longer sold. */
const SUBSCRIPTIONS = "subscriptions";

/** The statuses of a subscription that has ended, or never began. All others stand in the way of a second one. */
const OVER = ["failed", "refunding", "refunded", "charged_back", "canceled", "ended"];

/** Whether *purchase* is a subscription that may still take money. */
export const runs = ({ kind, status }) => kind === "subscription" && !OVER.includes(status);

/** Whether the next bill of *purchase* was tried, and is not paid. */
export const isOverdue = ({ status }) => ["past_due", "unpaid"].includes(status);

/** Whether the API would change *purchase* now. */
export const isChangeable = (purchase) =>
  runs(purchase) && !purchase.cancel_at && ["active", "trialing"].includes(purchase.status);

/** The subscription that runs and stands in the way of buying *offer*, or null. */
export function inTheWay(offer, purchases, offers) {
  if (!offer.group || offer.allow_several) return null;
  const excludes = (purchase) => {
    const sold = offers.find((one) => one.offer_id === purchase.offer_id);
    return runs(purchase) && !sold?.allow_several && (sold?.group ?? SUBSCRIPTIONS) === offer.group;
  };
  return purchases.find((one) => one.offer_id === offer.offer_id && excludes(one)) ?? purchases.find(excludes) ?? null;
}

/** What *purchase* can become: the subscriptions of its group in its currency, its own one only where its quantity can change. */
export function choices(purchase, offers) {
  const own = offers.find((one) => one.offer_id === purchase.offer_id);
  const group = own?.group ?? SUBSCRIPTIONS;
  return offers.filter(
    (one) =>
      one.kind === "subscription" &&
      one.group === group &&
      one.currency === purchase.currency &&
      (!one.providers?.length || one.providers.includes(purchase.provider)) &&
      (one !== own || hasSeats(one, purchase)),
  );
}

/** Whether it can be chosen how many of *offer* the customer of *purchase* has. */
export const hasSeats = (offer, purchase) => offer.max_quantity > 1 && (Boolean(offer.adjustable_quantity) || purchase.quantity > 1);
