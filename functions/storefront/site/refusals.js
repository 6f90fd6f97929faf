/** What the shop's visitors read of refusals, beside what the client says itself: [title, detail, next] by slug. */
export const REFUSALS = {
  404: [
    "We cannot find this in your account",
    "It may belong to another sign-in of yours.",
    "Sign in with the address that you bought with, or look in your account.",
  ],
  replaced: [
    "You chose something else meanwhile",
    "Another window of yours opened another payment page, and this one was closed. Nothing was charged on it.",
    "Go on in the other window, or choose again here.",
  ],
  "already-subscribed": [
    "You have a subscription already",
    "A second one beside it would be paid twice, so nothing was bought and nothing was charged.",
    "Your account shows it, and lets you change it.",
  ],
  "payment-due": [
    "A payment is due first",
    "The last bill of this subscription is not paid, so it cannot be changed yet.",
    "Pay it, or use another card; then change.",
  ],
  "booking-in-the-way": [
    "You have a live session already",
    "It waits to be accepted, or is under way. There is one at a time.",
    "Your account shows it, and lets you cancel it while it waits. Passes and subscriptions can be bought as ever.",
  ],
  "booking-closed": [
    "The booking has moved on",
    "It was accepted, was cancelled, or ran out of time a moment ago.",
    "Look again: what you see may be a moment old.",
  ],
  "not-a-subscription": [
    "This does not renew",
    "It was paid once, and nothing will be charged again.",
    "There is nothing to change or cancel.",
  ],
  "subscription-ended": [
    "This subscription has ended",
    "It ended a moment ago, or in another window.",
    "You can buy it again in the shop.",
  ],
  "being-refunded": [
    "Your money is on its way back",
    "That ends this subscription, so it cannot be changed any more.",
    "Once the money is back, you can subscribe again in the shop.",
  ],
  "not-reported-yet": [
    "One moment, please",
    "It is paid, and the payment provider is still setting it up.",
    "Try again in a few seconds.",
  ],
  "resume-first": [
    "This subscription is about to end",
    "It was cancelled, and what ends cannot be changed.",
    "Resume it, then change it.",
  ],
  "collection-paused": [
    "This subscription is paused",
    "The shop has paused it, so it cannot be changed now.",
    "Ask the shop to let it go on.",
  ],
  "cancel-now-refused": [
    "It ends with its period",
    "What you have paid for stays yours until then.",
    "Cancel it for the end of its period.",
  ],
  "change-impossible": [
    "This cannot be changed here",
    "It is paid by debit or by invoice. Such a payment takes days, and nothing changed.",
    "Put a card on file, then change.",
  ],
  "change-declined": [
    "The payment was declined",
    "Nothing changed, and nothing was charged.",
    "Use another card, then change again.",
  ],
  "nothing-to-manage": [
    "There are no cards and invoices yet",
    "They are here once you have bought something.",
    "Choose something in the shop.",
  ],
  "unknown-offer": [
    "This is not sold any more",
    "The shop took it off its list a moment ago.",
    "Load the page again to see what is sold now.",
  ],
};
