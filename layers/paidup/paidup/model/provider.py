"""The contract of a payment provider: what paidup asks of it, and the neutral types in which it answers.

The code above `outside` knows only the provider's name. Every method may raise ProviderUnavailable (trying again helps)
or ProviderRefused (trying again does not help). ObjectMissing and IdempotencyKeySpent are their subclasses.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from paidup.model.account import Owner
from paidup.model.checkout import Checkout
from paidup.model.fact import Fact
from paidup.model.purchase import Purchase


class PageStatus(StrEnum):
    """The states of a payment page."""

    OPEN = "open"
    COMPLETE = "complete"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A payment page. `expires_at` is the provider's epoch second. `facts` are all facts that the page reports.

    `customer_ref` is the provider's customer who pays on the page, such as `memory#customer_1`.
    """

    token: str
    url: str
    expires_at: int
    status: PageStatus
    customer_ref: str | None = None
    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEvent:
    """A provider's event. `body` is the raw text as the provider sent it.

    `urgent`: the buyer's redirect waits for our answer. `relevant`: the event can move money or access.
    """

    provider: str
    event_id: str
    type: str
    urgent: bool
    relevant: bool
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One object of the provider, by its id. `read` returns its facts, and may ask the provider for more."""

    ref: str
    read: Callable[[], list[Fact]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Objects of one sort. `name` is for people. Iterating asks the provider page by page, and may raise."""

    name: str
    reports: Iterator[Report]


class Known(Protocol):
    """What paidup knows already. A provider uses it to find an object's customer, and to save calls."""

    def find_owner(self, ref: str) -> Owner | None:
        """Return the owner of *ref*: a provider's customer, or an object by which a purchase is found."""

    def purchase(self, customer_id: str, purchase_id: str) -> Purchase | None:
        """Return the customer's purchase, or None."""


class Provider(Protocol):
    """One payment provider, as the flows use it."""

    @property
    def name(self) -> str:
        """The provider's name in checkouts, purchases and routes."""

    def open_page(self, checkout: Checkout, *, customer_ref: str | None, email: str | None) -> Page:
        """Return the page on which *checkout* is paid. The same call under the same key returns the same page.

        The page belongs to the provider's customer *customer_ref*. If it is None or missing at the provider, a customer
        is created.
        Raises IdempotencyKeySpent if the next try needs another key (see `Checkout.attempt`).
        """

    def page(self, token: str) -> Page:
        """Return the page *token* as it is now, with every fact that it reports. Raises ObjectMissing."""

    def close_page(self, token: str) -> Page:
        """Close the page *token* if nobody paid on it. A returned `complete` page was paid. `open` is never returned.

        Raises ObjectMissing.
        """

    def refund(self, purchase: Purchase) -> list[Fact]:
        """Refund all that is left of the purchase's payment, end its subscription, and return the facts after that.

        A second call refunds nothing more.
        """

    def purchase_facts(self, purchase: Purchase) -> list[Fact]:
        """Return what the provider says now about *purchase*. Raises ObjectMissing."""

    def refetch(self, fact: Fact) -> Fact:
        """Return what the provider says now about the register of *fact*, if possible from a later second.

        The answer decides a tie: two values of one register from the same second.
        """

    def history(
        self, customer_refs: Sequence[str], email: str | None, *, since: int, known: Known, customer_id: str
    ) -> Iterator[Listing]:
        """Yield what the customer bought: everything since *since* (epoch seconds), and every subscription.

        The customer is found by *customer_refs*. If there are none, by *email*.
        """

    def changes(self, cursor: str | None, *, since: int) -> Iterator[WebhookEvent]:
        """Yield the relevant events after the event *cursor*, the oldest first.

        Without a cursor, yield those since *since* (epoch seconds).
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
