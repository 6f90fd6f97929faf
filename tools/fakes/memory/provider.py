"""A payment provider in memory: what paidup asks it to do, and its signed events."""

import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from paidup.model.checkout import Checkout
from paidup.model.endpoint import Endpoint
from paidup.model.errors import BadSignature, BrokenJson, IdempotencyKeySpent, Malformed, ObjectMissing
from paidup.model.fact import Fact, SubscriptionStatus
from paidup.model.offer import CatalogPrice
from paidup.model.provider import Known, Page, PageStatus, WebhookEvent
from paidup.model.purchase import Purchase

from tools.fakes.memory import facts
from tools.fakes.memory.charges import TAKEN, Charge
from tools.fakes.memory.facts import NAME, Sheet
from tools.fakes.memory.finding import Finding
from tools.fakes.memory.plans import Plan

__all__ = ["MemoryProvider", "Sheet"]

PAGE_LASTS_S = 86_400
SECRET = b"memory"


@dataclass(slots=True)
class MemoryProvider(Finding):
    """A `Provider` like any other. While it is *ill* it answers 500 to each request for a page.

    `prices` is its catalogue, by lookup key or id. `promotions` are its promotions' ids by code. `listeners` are its
    webhook endpoints: address, and whether it is enabled.
    """

    ill: bool = False
    prices: dict[str, CatalogPrice] = field(default_factory=dict)
    promotions: dict[str, str] = field(default_factory=dict)
    listeners: dict[str, bool] = field(default_factory=dict)
    _by_key: dict[str, str | None] = field(default_factory=dict)

    # -- what paidup asks it to do

    @property
    def name(self) -> str:
        """The provider's name."""
        return NAME

    def open_page(self, checkout: Checkout, *, customer_ref: str | None, email: str | None) -> Page:
        """See `Provider.open_page`: the first answer under a key is replayed, an outage too."""
        if customer_ref is None:
            self._asked("customer")
            if email:
                self.emails[f"{NAME}#customer_{checkout.customer_id}"] = email
        after = self._asked("open_page")
        key, now = checkout.idempotency_key, self.now()
        if key not in self._by_key:
            self._by_key[key] = None if self.ill else f"page_{key}"
            if token := self._by_key[key]:
                expires_at = now + PAGE_LASTS_S
                self.sheets[token] = Sheet(
                    token=token,
                    checkout=checkout,
                    customer_ref=customer_ref or f"{NAME}#customer_{checkout.customer_id}",
                    created_at=now,
                    expires_at=expires_at,
                )
        if (token := self._by_key[key]) is None:
            self.failed = True
            raise IdempotencyKeySpent("memory", "it was asked to open a page (500)")
        if after:
            after()
        return self._page(self.sheets[token])

    def change_email(self, customer_ref: str, email: str) -> None:
        """See `Provider.change_email`: what was told last is in `emails`."""
        self._asked("email")
        self.emails[customer_ref] = email

    def price(self, ref: str) -> CatalogPrice:
        """See `Provider.price`: prices are listed by `prices`."""
        self._asked("price")
        if ref not in self.prices:
            raise ObjectMissing(NAME, f"there is no price {ref!r}")
        return self.prices[ref]

    def promotion(self, code: str, *, customer_ref: str | None) -> str:  # noqa: ARG002 - everybody gets it
        """See `Provider.promotion`: promotions are listed by `promotions`."""
        self._asked("promotion")
        if code not in self.promotions:
            raise Malformed("promotion_code", f"there is no code {code!r} that can be used now")
        return self.promotions[code]

    def close_page(self, checkout: Checkout) -> Page:
        """See `Provider.close_page`."""
        after = self._asked("close_page")
        sheet = self._sheet(checkout.token or "")
        if sheet.status is PageStatus.OPEN:
            sheet.status = PageStatus.EXPIRED
        if after:
            after()
        return self.page(checkout)

    def refund(self, purchase: Purchase) -> list[Fact]:
        """See `Provider.refund`: all subscriptions end first, and what a bank has hinders no other refund. Raises
        ProviderRefused in the end while a bank has some of the money.
        """
        after = self._asked("give_back")
        found: list[Fact] = []
        plans = self._plans_of(purchase)
        for plan in plans:
            if plan.status is not SubscriptionStatus.CANCELED:
                self.cancel(plan)
            found.append(facts.of_plan(plan, self._now()))
        charges: list[Charge] = []
        for plan in plans:
            lately = self._paid_lately(plan)
            charges += lately
            found += [] if lately else [facts.nothing_to_refund(plan, self._now())]
        if not plans and purchase.payment and (charge := self._charge(purchase.payment.ref or "")):
            charges = [charge]
        for charge in sorted(charges, key=lambda one: one.dispute in TAKEN):
            found.append(self._refund_charge(charge, purchase))
        if after:
            after()
        return found

    @staticmethod
    def _paid_lately(plan: Plan) -> list[Charge]:
        """Return what was paid for the present period of *plan*: changes first, the period last."""
        lately = [bill for bill in plan.bills if any(line.start >= plan.period_start for line in bill.lines)]
        return [bill.charge for bill in reversed(lately) if bill.charge]

    def _refund_charge(self, charge: Charge, purchase: Purchase) -> Fact:
        self.failed = self.failed or charge.dispute in TAKEN
        if charge.refund(f"{purchase.refund_key}-{charge.ref}"):
            self._tell_charge(charge, charge.refund_value())
        return facts.of_charge(self._sold_with(charge), charge, charge.refund_value(), self._now())

    # -- its events

    def verify(self, body: bytes, headers: Mapping[str, str], *, now: int) -> WebhookEvent:  # noqa: ARG002 - no time stamps
        """See `Provider.verify`: the header `memory-signature` holds the HMAC-SHA256 of the body."""
        if not hmac.compare_digest(headers.get("memory-signature", ""), signature(body)):
            raise BadSignature("The memory-signature header does not match the body.")
        return self.read_event(body.decode())

    def read_event(self, body: str) -> WebhookEvent:
        """See `Provider.read_event`."""
        try:
            return self.told_as_event(int(json.loads(body)["event"]))
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise BrokenJson("The body is no event.") from error

    def facts_of(self, event: WebhookEvent, known: Known) -> list[Fact]:  # noqa: ARG002 - it knows whose everything is
        """See `Provider.facts_of`."""
        return self.told[int(json.loads(event.body)["event"])].facts()

    def changes(self, cursor: str | None, *, since: int) -> Iterator[WebhookEvent]:
        """See `Provider.changes`."""
        self._asked("changes")
        first = int(cursor.removeprefix("evt_")) + 1 if cursor else 0
        for n in range(first, len(self.told)):
            if cursor or self.told[n].at >= since:
                yield self.told_as_event(n)

    def undelivered(self, *, since: int) -> Iterator[WebhookEvent]:
        """See `Provider.undelivered`. It delivers nothing by itself: if anybody listens, they have taken nothing."""
        self._asked("undelivered")
        return (self.told_as_event(n) for n, one in enumerate(self.told) if self.listeners and one.at >= since)

    def endpoints(self) -> list[Endpoint]:
        """See `Provider.endpoints`: the addresses that `listeners` names are told of everything."""
        self._asked("endpoints")
        return [Endpoint(url=url, enabled=enabled) for url, enabled in self.listeners.items()]


def signature(body: bytes) -> str:
    """Return what the provider sends as `memory-signature` with *body*."""
    return hmac.new(SECRET, body, "sha256").hexdigest()
