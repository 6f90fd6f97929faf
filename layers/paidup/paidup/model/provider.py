"""The contract of a payment provider: what paidup asks of it, and the neutral types in which it answers.

The code above `outside` knows only the provider's name. Every method may raise ProviderUnavailable (trying again helps)
or ProviderRefused (trying again does not help). ObjectMissing and IdempotencyKeySpent are their subclasses.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from paidup.model.account import Account, Owner
from paidup.model.checkout import Checkout
from paidup.model.endpoint import Endpoint
from paidup.model.fact import Fact
from paidup.model.offer import Cart, CatalogPrice, Offer
from paidup.model.purchase import Purchase


class PageStatus(StrEnum):
    """The states of a payment page."""

    OPEN = "open"
    COMPLETE = "complete"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A payment page. `expires_at` is the provider's epoch second. `facts` are all facts that the page reports.

    `customer_ref` is the provider's customer who pays on the page, such as `memory#customer_1`. `one_currency`: the
    provider wants another customer for each currency, so that this one pays in the page's currency alone.
    """

    token: str
    url: str
    expires_at: int
    status: PageStatus
    customer_ref: str | None = None
    one_currency: bool = False
    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEvent:
    """A provider's event, made at `created_at` (epoch seconds). `body` is the raw text as the provider sent it.

    `urgent`: the buyer's redirect waits for our answer. `relevant`: the event can move money or access.
    """

    provider: str
    event_id: str
    type: str
    created_at: int
    urgent: bool
    relevant: bool
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One object of the provider, by its id. `read` returns its facts, and may ask the provider for more.

    `cursor` says where a list of all customers' objects goes on after this one (see `Provider.objects`).
    """

    ref: str
    read: Callable[[], list[Fact]]
    cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Objects of one sort. `name` is for people. Iterating asks the provider page by page, and may raise."""

    name: str
    reports: Iterator[Report]


class ChangeOutcome(StrEnum):
    """What became of a change: made, declined, or waiting until the customer's bank approves its payment.

    It is `impossible` if the subscription is paid in a way that cannot be waited for: nothing changed then.
    """

    MADE = "made"
    DECLINED = "declined"
    PENDING = "pending"
    IMPOSSIBLE = "impossible"


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """A change of a subscription: its outcome, and what the provider says of the purchase after that."""

    outcome: ChangeOutcome
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePreview:
    """What a change would cost, in minor units of `currency`: `due_now`, and `next_amount` at `next_at` (epoch second).

    If what is left of the present period is worth more than the change costs, `credited` is used for later bills.
    """

    due_now: int
    credited: int
    next_amount: int
    next_at: int
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundCustomer:
    """A customer of the provider, by `ref`. `customer_id` is the customer of ours whom the provider's notes name."""

    ref: str
    customer_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPayment:
    """A payment or a subscription at the provider. `ref` is what its purchase is found by.

    `refs` are all refs that may tell whose it is, the nearest first. `customer_id` is the customer whom the provider's
    notes name, if they name one. `renews`: it is a subscription.
    """

    ref: str
    refs: tuple[str, ...]
    customer_id: str | None = None
    renews: bool = False


class Known(Protocol):
    """What paidup knows already. A provider uses it to find an object's customer, and to save calls."""

    def find_owner(self, ref: str) -> Owner | None:
        """Return the owner of *ref*: a provider's customer, or an object by which a purchase is found."""

    def purchase(self, customer_id: str, purchase_id: str) -> Purchase | None:
        """Return the customer's purchase, or None."""

    def checkout(self, customer_id: str, checkout_id: str) -> Checkout | None:
        """Return the customer's checkout, or None."""

    def offer(self, offer_id: str) -> Offer | None:
        """Return the offer, or None if it is not on sale."""

    def offer_at(self, *refs: str) -> Offer | None:
        """Return the offer on sale whose own `price` is one of *refs* (a price's id or lookup key), or None."""

    def account(self, customer_id: str) -> Account:
        """Return the customer's account. An account that was never written has version 0."""


class Provider(Protocol):
    """One payment provider, as the flows use it."""

    @property
    def name(self) -> str:
        """The provider's name in checkouts, purchases and routes."""

    def open_page(self, checkout: Checkout, *, customer_ref: str | None, email: str | None) -> Page:
        """Return the page on which *checkout* is paid. The same call under the same key returns the same page.

        The page belongs to the provider's customer *customer_ref*. If it is None or missing at the provider, a customer
        is created. If that customer cannot pay in the cart's currency, because something of theirs runs in another,
        one more is created, and the page says `one_currency`. The same call creates no second one.
        Raises IdempotencyKeySpent if the next try needs another key (see `Checkout.attempt`). Raises Malformed for the
        field `promotion_code` if the cart's promotion is not for this cart or this customer.
        """

    def change_email(self, customer_ref: str, email: str) -> None:
        """Give the provider's customer *customer_ref* the address *email*. Raises ObjectMissing."""

    def price(self, ref: str) -> CatalogPrice:
        """Return the price *ref* of the provider's catalogue as it is now. *ref* is the price's id, or a lookup key.

        Raises ObjectMissing, and ProviderRefused if the price is not sold any more.
        """

    def promotion(self, code: str, *, customer_ref: str | None) -> str:
        """Return the provider's id of the promotion that the customer *customer_ref* gets by *code*.

        Raises Malformed for the field `promotion_code` if there is none, or if it has ended.
        """

    def page(self, checkout: Checkout) -> Page:
        """Return the page of *checkout* as it is now, with every fact that it reports. Raises ObjectMissing."""

    def close_page(self, checkout: Checkout) -> Page:
        """Close the page of *checkout* if nobody paid on it. A returned `complete` page was paid.

        `open` is never returned. Raises ObjectMissing.
        """

    def refund(self, purchase: Purchase) -> list[Fact]:
        """Refund all that is left of the purchase's payment, end its subscription, and return the facts after that.

        A second call refunds nothing more.
        """

    def change_plan(self, purchase: Purchase, cart: Cart, *, key: str | None) -> Changed:
        """Let the purchase's subscription sell *cart* from now on, and charge what that costs at once.

        A change that is declined changes nothing. Under the same *key* (the caller's Idempotency-Key) it is made once.
        If the subscription sells *cart* already, or has ended, nothing is done, but a change that waits is given up.
        """

    def preview_change(self, purchase: Purchase, cart: Cart) -> ChangePreview:
        """Return what `change_plan` would cost. The subscription stays as it is."""

    def cancel_plan(self, purchase: Purchase, *, at_once: bool) -> list[Fact]:
        """End the purchase's subscription with its period, or *at_once*, and return the facts after that.

        A subscription that ends already, or has ended, stays as it is.
        """

    def resume_plan(self, purchase: Purchase) -> list[Fact]:
        """Take back the cancellation of the purchase's subscription, and return the facts after that.

        A subscription that has ended stays as it is.
        """

    def open_portal(self, customer_ref: str, *, return_url: str) -> str:
        """Return the address of the provider's page for the customer's cards and bills.

        From there the customer gets back to *return_url*.
        """

    def purchase_facts(self, purchase: Purchase) -> list[Fact]:
        """Return what the provider says now about *purchase*. Raises ObjectMissing."""

    def refetch(self, fact: Fact) -> Fact:
        """Return what the provider says now about the register of *fact*.

        The answer decides a tie, two values of one register from the same second, if it is from a later second.
        """

    def history(
        self, customer_refs: Sequence[str], email: str | None, *, since: int, known: Known, customer_id: str
    ) -> Iterator[Listing]:
        """Yield what the customer bought: everything since *since* (epoch seconds), and every subscription.

        What went back of their payments is listed, too, since a subscription may not say so.
        The customer is found by *customer_refs*. If there are none, by *email*.
        """

    def changes(self, cursor: str | None, *, since: int) -> Iterator[WebhookEvent]:
        """Yield the relevant events after the event *cursor*, the oldest first.

        Without a cursor, yield those since *since* (epoch seconds).
        """

    def undelivered(self, *, since: int) -> Iterator[WebhookEvent]:
        """Yield the relevant events since *since* (epoch seconds) that an endpoint has not taken, the oldest first.

        If a provider does not say what was taken, yield all events since then.
        """

    def objects(self, cursor: str | None, *, since: int, known: Known) -> Iterator[Report]:
        """Yield what all customers have: every running subscription, and what was made since *since* (epoch seconds).

        What was made are payment pages, refunds and disputes. Each report has a cursor. With the *cursor* of a report,
        go on after it. Reading a report raises NotYetKnown if it sells an offer of ours to nobody we know.
        """

    def endpoints(self) -> list[Endpoint]:
        """Return the webhook endpoints that the provider tells, enabled or not."""

    def event(self, event_id: str) -> WebhookEvent:
        """Return the event *event_id* as it was sent. Raises ObjectMissing, also if it is too old to be kept."""

    def find_customers(self, email: str) -> list[FoundCustomer]:
        """Return the provider's customers with the address *email*, the newest first, and at most 100."""

    def find_payment(self, an_id: str) -> FoundPayment:
        """Return the payment or subscription that *an_id* is about: its own id, its page's, charge's or bill's.

        Raises ObjectMissing if there is none, or if *an_id* is no such id.
        """

    def assigned(self, an_id: str, offer: Offer, *, customer_id: str) -> list[Fact]:
        """Return the facts of the payment or subscription that *an_id* is about, as *offer* sold to *customer_id*.

        They are about the purchase that is called as the provider calls the payment or subscription. The list is empty
        if nothing was paid. Raises ObjectMissing as `find_payment` does.
        """

    def verify(self, body: bytes, headers: Mapping[str, str], *, now: int) -> WebhookEvent:
        """Return the event in *body*, after checking the provider's signature. *headers* have lower-case names.

        *now* is in epoch seconds. Raises BadSignature. Raises BrokenJson or Malformed if the body is not an event.
        """

    def read_event(self, body: str) -> WebhookEvent:
        """Return the event in *body*. Its signature was checked before. Raises BrokenJson."""

    def facts_of(self, event: WebhookEvent, known: Known) -> list[Fact]:
        """Return the facts that *event* reports, and those that must be fetched with it. The list may be empty.

        Raises NotYetKnown if the customer is not known yet. Raises Malformed if the event can never be read.
        """
