"""One contract for every payment provider: Stripe, by its real client at the stand-in, and the one in memory."""

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, get_type_hints

import pytest
import stripe
from paidup.model.account import Owner
from paidup.model.checkout import Checkout, reserved
from paidup.model.errors import (
    BadSignature,
    BrokenJson,
    IdempotencyKeySpent,
    ObjectMissing,
    ProviderUnavailable,
)
from paidup.model.fact import Fact, Payment, PaymentStatus, Refund, Subscription, SubscriptionStatus
from paidup.model.offer import Cart, Interval, Kind
from paidup.model.provider import PageStatus, Provider, WebhookEvent
from paidup.model.purchase import Purchase

from tests.world import WEBHOOK_SECRET, World
from tools.fakes.memory.provider import MemoryProvider, signature

PASS = Cart(offer_id="ten", name="Ten classes", kind=Kind.PASS, unit_amount=12_000, currency="eur", quantity=1)
MONTHLY = Cart(
    offer_id="monthly",
    name="Monthly",
    kind=Kind.SUBSCRIPTION,
    unit_amount=4_900,
    currency="eur",
    quantity=1,
    interval=Interval.MONTH,
)


class Nothing:
    """What paidup knows when it knows nothing."""

    def find_owner(self, ref: str) -> Owner | None:
        return None

    def purchase(self, customer_id: str, purchase_id: str) -> Purchase | None:
        return None


class Side(Protocol):
    """A provider, and what buyers and outages do there."""

    @property
    def provider(self) -> Provider: ...
    def now(self) -> int: ...
    def pay(self, token: str) -> None: ...
    def fail(self, *, for_a_day: bool) -> None: ...
    def recover(self) -> None: ...
    def signed(self, event: WebhookEvent) -> tuple[bytes, Mapping[str, str]]: ...


class AtStripe:
    def __init__(self, world: World) -> None:
        self.world = world
        self.provider = world.services.provider("stripe")

    def now(self) -> int:
        return self.world.now()

    def pay(self, token: str) -> None:
        url = self.world.stripe.v1.checkout.sessions.retrieve(token).url
        self.world.pay(url or f"{self.world.fakes.url}/stripe/pay/{token}")

    def fail(self, *, for_a_day: bool) -> None:
        self.world.faults(error_rate=1, error_kind="server_error" if for_a_day else "rate_limit")

    def recover(self) -> None:
        self.world.faults()

    def signed(self, event: WebhookEvent) -> tuple[bytes, Mapping[str, str]]:
        header = stripe.WebhookSignature.generate_signature_header(event.body, WEBHOOK_SECRET, self.now())
        return event.body.encode(), {"stripe-signature": header}


class InMemory:
    def __init__(self) -> None:
        stands_at = int(time.time())
        self.provider: MemoryProvider = MemoryProvider(lambda: stands_at)

    def now(self) -> int:
        return self.provider.now()

    def pay(self, token: str) -> None:
        self.provider.pay(token, delayed=False)

    def fail(self, *, for_a_day: bool) -> None:
        self.provider.ill, self.provider.away = for_a_day, not for_a_day

    def recover(self) -> None:
        self.provider.ill = self.provider.away = False

    def signed(self, event: WebhookEvent) -> tuple[bytes, Mapping[str, str]]:
        body = event.body.encode()
        return body, {"memory-signature": signature(body)}


@pytest.fixture(params=["stripe", "memory"])
def side(request: pytest.FixtureRequest) -> Iterator[Side]:
    if request.param == "memory":
        yield InMemory()
        return
    yield AtStripe(request.getfixturevalue("fresh_world"))


def a_checkout(side: Side, checkout_id: str = "co_1", cart: Cart = PASS) -> Checkout:
    return reserved(
        checkout_id=checkout_id,
        customer_id="ada",
        cart=cart,
        provider=side.provider.name,
        success_url="https://shop.example/success",
        cancel_url="https://shop.example/cancel",
        lifetime_s=86_400,
        now=side.now(),
    )


def opened(side: Side, checkout_id: str = "co_1", cart: Cart = PASS) -> str:
    return side.provider.open_page(a_checkout(side, checkout_id, cart), customer_ref=None, email=None).token


def paid(side: Side, checkout_id: str = "co_1", cart: Cart = PASS) -> str:
    token = opened(side, checkout_id, cart)
    side.pay(token)
    return token


def of_kind[V](kind: type[V], facts: list[Fact] | tuple[Fact, ...]) -> V:
    (value,) = [fact.entry.value for fact in facts if isinstance(fact.entry.value, kind)]
    return value


def bought(side: Side, token: str) -> Purchase:
    facts = side.provider.page(token).facts
    purchase = Purchase.of(facts[0])
    for fact in facts:
        purchase = purchase.merge(fact)
    return purchase


def history(side: Side, *refs: str, since: int | None = None) -> list[str]:
    begins = side.now() - 60 if since is None else since
    listings = side.provider.history(refs, None, since=begins, known=Nothing(), customer_id="ada")
    return [report.ref for listing in listings for report in listing.reports]


class TestAPage:
    def test_is_open_and_belongs_to_a_customer_of_the_provider(self, side: Side) -> None:
        page = side.provider.open_page(a_checkout(side), customer_ref=None, email="ada@example.com")

        assert page.status is PageStatus.OPEN
        assert page.url
        assert side.now() < page.expires_at <= side.now() + 86_400 + 60
        assert page.customer_ref
        assert page.customer_ref.startswith(f"{side.provider.name}#")

    def test_is_the_same_when_it_is_asked_for_again(self, side: Side) -> None:
        checkout = a_checkout(side)
        first = side.provider.open_page(checkout, customer_ref=None, email=None)

        again = side.provider.open_page(checkout, customer_ref=first.customer_ref, email=None)

        assert again.token == first.token

    def test_belongs_to_the_customer_that_is_known(self, side: Side) -> None:
        first = side.provider.open_page(a_checkout(side, "co_1"), customer_ref=None, email=None)

        second = side.provider.open_page(a_checkout(side, "co_2"), customer_ref=first.customer_ref, email=None)

        assert second.customer_ref == first.customer_ref
        assert second.token != first.token

    def test_that_is_open_says_nothing_of_a_payment(self, side: Side) -> None:
        page = side.provider.page(opened(side))

        assert (page.status, page.facts) == (PageStatus.OPEN, ())

    def test_that_was_paid_says_what_was_paid_for_which_purchase(self, side: Side) -> None:
        page = side.provider.page(paid(side))

        payment = of_kind(Payment, page.facts)
        assert page.status is PageStatus.COMPLETE
        assert (payment.status, payment.subtotal, payment.currency) == (PaymentStatus.PAID, 12_000, "eur")
        assert {(one.customer_id, one.purchase_id, one.offer_id) for one in page.facts} == {("ada", "co_1", "ten")}

    def test_that_sold_a_subscription_says_how_the_subscription_is(self, side: Side) -> None:
        plan = of_kind(Subscription, side.provider.page(paid(side, cart=MONTHLY)).facts)

        assert (plan.status, plan.amount, plan.currency) == (SubscriptionStatus.ACTIVE, 4_900, "eur")
        assert plan.period_start < plan.period_end

    def test_that_nobody_made_is_missing(self, side: Side) -> None:
        with pytest.raises(ObjectMissing):
            side.provider.page("cs_test_nobody_made_this")

    def test_that_is_closed_can_not_be_paid_any_more(self, side: Side) -> None:
        token = opened(side)

        assert side.provider.close_page(token).status is PageStatus.EXPIRED
        side.pay(token)
        assert of_kind(Payment, side.provider.page(token).facts).status is PaymentStatus.EXPIRED

    def test_that_is_closed_twice_stays_closed(self, side: Side) -> None:
        token = opened(side)
        side.provider.close_page(token)

        assert side.provider.close_page(token).status is PageStatus.EXPIRED

    def test_that_was_paid_is_not_closed(self, side: Side) -> None:
        page = side.provider.close_page(paid(side))

        assert page.status is PageStatus.COMPLETE
        assert of_kind(Payment, page.facts).status is PaymentStatus.PAID

    def test_that_nobody_made_can_not_be_closed(self, side: Side) -> None:
        with pytest.raises(ObjectMissing):
            side.provider.close_page("cs_test_nobody_made_this")


class TestARefund:
    def test_gives_back_all_that_was_paid(self, side: Side) -> None:
        purchase = bought(side, paid(side)).to_refund("test", now=side.now())

        refund = of_kind(Refund, side.provider.refund(purchase))

        assert (refund.refunded, refund.full) == (12_000, True)

    def test_asked_for_again_gives_nothing_more_back(self, side: Side) -> None:
        purchase = bought(side, paid(side)).to_refund("test", now=side.now())
        side.provider.refund(purchase)

        refund = of_kind(Refund, side.provider.refund(purchase))

        assert refund.refunded == 12_000

    def test_of_a_subscription_ends_it(self, side: Side) -> None:
        purchase = bought(side, paid(side, cart=MONTHLY)).to_refund("test", now=side.now())

        facts = side.provider.refund(purchase)

        assert of_kind(Subscription, facts).status is SubscriptionStatus.CANCELED


class TestWhatIsSaidNow:
    def test_of_a_purchase_tells_what_went_back(self, side: Side) -> None:
        purchase = bought(side, paid(side))
        side.provider.refund(purchase.to_refund("test", now=side.now()))

        assert of_kind(Refund, side.provider.purchase_facts(purchase)).full

    def test_of_a_subscription_tells_that_it_ended(self, side: Side) -> None:
        purchase = bought(side, paid(side, cart=MONTHLY))
        side.provider.refund(purchase.to_refund("test", now=side.now()))

        facts = side.provider.purchase_facts(purchase)

        assert of_kind(Subscription, facts).status is SubscriptionStatus.CANCELED
        assert {one.purchase_id for one in facts} == {"co_1"}

    @pytest.mark.parametrize("cart", [PASS, MONTHLY], ids=lambda cart: cart.offer_id)
    def test_of_one_fact_is_of_the_same_register_and_fetched(self, side: Side, cart: Cart) -> None:
        for fact in side.provider.page(paid(side, cart=cart)).facts:
            again = side.provider.refetch(fact)

            assert (again.register, again.purchase_id) == (fact.register, fact.purchase_id)
            assert again.entry.fetched
            assert again.entry.at >= fact.entry.at


class TestAHistory:
    def test_holds_pages_and_subscriptions_of_the_customer(self, side: Side) -> None:
        ref = side.provider.open_page(a_checkout(side, "co_1"), customer_ref=None, email=None).customer_ref or ""
        token = side.provider.open_page(a_checkout(side, "co_2", MONTHLY), customer_ref=ref, email=None).token
        side.pay(token)
        plan = of_kind(Subscription, side.provider.page(token).facts).ref

        found = history(side, ref)

        assert {token, plan} <= set(found)

    def test_of_nobody_is_empty(self, side: Side) -> None:
        paid(side)

        assert history(side) == []

    def test_leaves_out_pages_from_before_it_begins(self, side: Side) -> None:
        ref = side.provider.open_page(a_checkout(side), customer_ref=None, email=None).customer_ref or ""

        assert history(side, ref, since=side.now() + 60) == []


class TestAnEvent:
    def newest(self, side: Side, token: str) -> WebhookEvent:
        (event,) = [one for one in side.provider.changes(None, since=side.now() - 60) if one.urgent]
        assert token
        return event

    def test_of_a_payment_is_urgent_and_tells_what_was_paid(self, side: Side) -> None:
        event = self.newest(side, paid(side))

        facts = side.provider.facts_of(event, Nothing())

        assert event.relevant
        assert of_kind(Payment, facts).status is PaymentStatus.PAID
        assert {one.purchase_id for one in facts} == {"co_1"}

    def test_that_is_signed_is_believed(self, side: Side) -> None:
        event = self.newest(side, paid(side))
        body, headers = side.signed(event)

        assert side.provider.verify(body, headers, now=side.now()) == event

    def test_that_is_not_signed_is_refused(self, side: Side) -> None:
        body, _ = side.signed(self.newest(side, paid(side)))

        with pytest.raises(BadSignature):
            side.provider.verify(body, {}, now=side.now())

    def test_that_was_changed_is_refused(self, side: Side) -> None:
        body, headers = side.signed(self.newest(side, paid(side)))

        with pytest.raises(BadSignature):
            side.provider.verify(body + b" ", headers, now=side.now())

    def test_that_was_kept_is_read_as_it_was(self, side: Side) -> None:
        event = self.newest(side, paid(side))

        assert side.provider.read_event(event.body) == event

    @pytest.mark.parametrize("body", ["", "[]", "{", '"event"', "null"])
    def test_that_is_none_is_refused(self, side: Side, body: str) -> None:
        with pytest.raises(BrokenJson):
            side.provider.read_event(body)


class TestChanges:
    def test_come_in_order_and_once(self, side: Side) -> None:
        for n in range(3):
            paid(side, f"co_{n}", MONTHLY)

        found = list(side.provider.changes(None, since=side.now() - 60))

        assert len({one.event_id for one in found}) == len(found) >= 6
        bought = [side.provider.facts_of(one, Nothing())[0].purchase_id for one in found if one.urgent]
        assert bought == ["co_0", "co_1", "co_2"]

    def test_after_a_cursor_leave_out_what_came_before_it(self, side: Side) -> None:
        paid(side, "co_0")
        *_, cursor = side.provider.changes(None, since=side.now() - 60)
        paid(side, "co_1")

        found = [one for one in side.provider.changes(cursor.event_id, since=0) if one.urgent]

        assert [side.provider.facts_of(one, Nothing())[0].purchase_id for one in found] == ["co_1"]

    def test_after_the_newest_are_none(self, side: Side) -> None:
        paid(side)
        *_, cursor = side.provider.changes(None, since=side.now() - 60)

        assert list(side.provider.changes(cursor.event_id, since=0)) == []


class TestAnOutage:
    def test_is_said_to_be_one(self, side: Side) -> None:
        token = opened(side)
        side.fail(for_a_day=False)

        with pytest.raises(ProviderUnavailable):
            side.provider.page(token)

        side.recover()
        assert side.provider.page(token).status is PageStatus.OPEN

    def test_that_is_replayed_under_its_key_asks_for_another_key(self, side: Side) -> None:
        checkout = a_checkout(side)
        ref = side.provider.open_page(a_checkout(side, "co_0"), customer_ref=None, email=None).customer_ref
        side.fail(for_a_day=True)

        with pytest.raises(IdempotencyKeySpent):
            side.provider.open_page(checkout, customer_ref=ref, email=None)

        side.recover()
        assert side.provider.open_page(checkout.retried(), customer_ref=ref, email=None).status is PageStatus.OPEN


def test_every_verb_of_the_protocol_is_there_with_its_types(side: Side) -> None:
    def hints(of: Any, verb: str) -> dict[str, str]:
        return {name: json.dumps(str(hint)) for name, hint in get_type_hints(getattr(of, verb)).items()}

    verbs = [name for name in vars(Provider) if not name.startswith("_") and name != "name"]

    assert len(verbs) >= 10
    for verb in verbs:
        assert hints(type(side.provider), verb) == hints(Provider, verb)
