/** Back from the payment page without paying: a calm way on. */

import { begin, buyButton, find, link, remembered, show } from "./page.js";

begin(async () => {
  const known = remembered();
  const paid = known && link("I have paid", `/success?checkout_id=${encodeURIComponent(known.checkoutId)}`);
  show(
    find("#ways"),
    known && buyButton("Continue to payment", known.offerId),
    link("Back to the shop", "/", known ? "" : "primary"),
    paid || link("Your account", "/account"),
  );
});
