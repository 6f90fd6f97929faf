"""The provider's door: what paidup asks of a payment provider, and the words in which the provider answers.

Nothing above `outside` knows a provider by more than its name. Every method may raise ProviderUnavailable (trying again
helps) or ProviderRefused (it does not); ObjectMissing and IdempotencyKeySpent are special cases of these.
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
    """A payment page: `expires_at` is the provider's epoch second, `facts` is all that the page says.

    `customer_ref` is the provider's customer who pays there, such as `memory#customer_1`.
    """

    token: str
    url: str
    expires_at: int
    status: PageStatus
    customer_ref: str | None = None
    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEvent:
    """A provider's event. `urgent`: the buyer's redirect waits for it. `relevant`: its type can move money or access.

    `body` is the raw text as the provider sent it.
    """

    provider: str
    event_id: str
    type: str
    urgent: bool
    relevant: bool
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One object of the provider's, by its id. `read` returns what it says, and may ask the provider for more."""

    ref: str
    read: Callable[[], list[Fact]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Objects of one sort, by a name for people. Iterating asks the provider, page by page, and may raise."""

    name: str
    reports: Iterator[Report]


class Known(Protocol):
    """What paidup knows already. A provider uses it to place an object, and to ask no more than it must."""

    def find_owner(self, ref: str) -> Owner | None:
        """Return whose *ref* is: a provider's customer, or an object that a purchase is found by."""

    def purchase(self, customer_id: str, purchase_id: str) -> Purchase | None:
        """Return the customer's purchase."""


class Provider(Protocol):
    """One payment provider, as the flows use it."""

    @property
    def name(self) -> str:
        """The provider's name, as it stands in checkouts, purchases and routes."""

    def open_page(self, checkout: Checkout, *, customer_ref: str | None, email: str | None) -> Page:
        """Return the page on which *checkout* is paid. The same call under the same key returns the same page.

        The page belongs to the provider's customer *customer_ref*. Without one, or if it is gone, a customer is made.
        Raises IdempotencyKeySpent if the next try needs another key (see `Checkout.attempt`).
        """

    def page(self, token: str) -> Page:
        """Return the page *token* as it is now, with every fact that it tells. Raises ObjectMissing."""

    def close_page(self, token: str) -> Page:
        """Close the page *token* unless it was paid. `complete` then means paid; `open` is never returned.

        Raises ObjectMissing.
        """

    def refund(self, purchase: Purchase) -> list[Fact]:
        """Give back all that is left of the purchase's money, end its subscription, and return how both are now.

        Asked again, it gives back nothing more.
        """

    def purchase_facts(self, purchase: Purchase) -> list[Fact]:
        """Return what the provider says now of *purchase*. Raises ObjectMissing."""

    def refetch(self, fact: Fact) -> Fact:
        """Return what the provider says now of the register of *fact*, from a later second if that comes soon.

        The answer decides a tie: two values of one register from the same second.
        """

    def history(
        self, customer_refs: Sequence[str], email: str | None, *, since: int, known: Known, customer_id: str
    ) -> Iterator[Listing]:
        """Yield what the customer bought: everything since *since* (epoch seconds), and every subscription.

        The customer is found by *customer_refs*, or by *email* if there are none.
        """

    def changes(self, cursor: str | None, *, since: int) -> Iterator[WebhookEvent]:
        """Yield the relevant events after the event *cursor*, the oldest first; without one, those since *since*."""

    def verify(self, body: bytes, headers: Mapping[str, str], *, now: int) -> WebhookEvent:
        """Return the event in *body* if the provider signed it. *headers* have lower-case names.

        Raises BadSignature, or BrokenJson if the body is no event.
        """

    def read_event(self, body: str) -> WebhookEvent:
        """Return the event in *body*, which was verified before. Raises BrokenJson."""

    def facts_of(self, event: WebhookEvent, known: Known) -> list[Fact]:
        """Return what *event* says, and what must be fetched beside it; nothing if it is about nothing of ours.

        Raises NotYetKnown if nobody can say yet whose the object is.
        """
