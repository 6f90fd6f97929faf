/** Back from the payment page without paying: a calm way on, whatever became of the purchase meanwhile. */

import { cameFrom, standing, told } from "./checkouts.js";
import { announce, begin, buyButton, el, find, link, offerNames, purchase, remembered, session, show } from "./page.js";

begin(async () => {
  const known = remembered();
  const checkoutId = new URLSearchParams(location.search).get("checkout_id") ?? known?.checkoutId;
  const [story, name] = checkoutId && session.isSignedIn ? await Promise.all([standing(checkoutId), offerNames()]) : [null, null];
  if (story) return draw(story, name);
  return show(
    find("#ways"),
    known && buyButton("Continue to payment", known.offerId, { quantity: () => known.quantity }),
    link("Back to the shop", "/", known ? "" : "primary"),
    checkoutId ? link("I have paid", purchase(checkoutId)) : link("Your account", "/account"),
  );
});

function draw(story, name) {
  const { title, text, ways } = told(story, name, (after) => draw(after, name));
  const unpaid = story.next === "pay";
  const heading = el("h1", { tabindex: "-1" }, unpaid ? "Nothing was charged" : title);
  show(
    find("#content"),
    el("div", { class: `sign ${story.next === "done" ? "done" : "calm"}`, "aria-hidden": "true" }),
    heading,
    [...(unpaid ? [`${title}. Your choice is kept for you.`] : []), ...text].map((line) => el("p", { class: "muted" }, line)),
    el(
      "div",
      { class: "actions" },
      ways,
      link("Back to the shop", cameFrom(story)),
      unpaid ? link("I have paid", purchase(story.checkout_id)) : link("Your account", "/account"),
    ),
  );
  document.title = `${heading.textContent} · paidup`;
  announce(`${heading.textContent}. ${text.join(" ")}`);
  heading.focus();
}
