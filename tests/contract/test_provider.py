"""One contract for every payment provider: Stripe, by its real client at the stand-in, and the one in memory."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, get_type_hints

import pytest
import stripe
from paidup.model.account import Account, Owner
from paidup.model.checkout import Checkout, reserved
from paidup.model.endpoint import Endpoint
from paidup.model.errors import (
    BadSignature,
    BrokenJson,
    IdempotencyKeySpent,
    Malformed,
    ObjectMissing,
    ProviderUnavailable,
)
from paidup.model.fact import (
    Fact,
    Invoice,
    InvoiceStatus,
    Payment,
    PaymentStatus,
    Refund,
    Subscription,
    SubscriptionStatus,
)
from paidup.model.offer import Cart, CatalogPrice, Interval, Kind, Offer
from paidup.model.provider import PageStatus, Provider, Report, WebhookEvent
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

    def checkout(self, customer_id: str, checkout_id: str) -> Checkout | None:
        return None

    def offer(self, offer_id: str) -> Offer | None:
        return None

    def offer_at(self, *refs: str) -> Offer | None:
        return None

    def account(self, customer_id: str) -> Account:
        return Account(customer_id=customer_id)


class Side(Protocol):
    """A provider, and what buyers and outages do there."""

    @property
    def provider(self) -> Provider: ...
    def now(self) -> int: ...
    def pay(self, token: str) -> None: ...
    def list_price(self, amount: int) -> str: ...
    def make_code(self, code: str) -> str: ...
    def fail(self, *, for_a_day: bool) -> None: ...
    def recover(self) -> None: ...
    def listen(self, url: str) -> None: ...
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

    def list_price(self, amount: int) -> str:
        product = self.world.stripe.v1.products.create({"name": "Monthly"}).id
        asked: Any = {"product": product, "currency": "eur", "unit_amount": amount, "recurring": {"interval": "month"}}
        return self.world.stripe.v1.prices.create(asked).id

    def make_code(self, code: str) -> str:
        coupon = self.world.stripe.v1.coupons.create({"duration": "once", "percent_off": 20}).id
        asked: Any = {"promotion": {"type": "coupon", "coupon": coupon}, "code": code}
        return self.world.stripe.v1.promotion_codes.create(asked).id

    def fail(self, *, for_a_day: bool) -> None:
        self.world.faults(error_rate=1, error_kind="server_error" if for_a_day else "rate_limit")

    def recover(self) -> None:
        self.world.faults()

    def listen(self, url: str) -> None:
        self.world.stripe.v1.webhook_endpoints.create({"url": url, "enabled_events": ["*"]})

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

    def list_price(self, amount: int) -> str:
        listed = CatalogPrice(ref=f"price_{amount}", amount=amount, currency="eur", interval=Interval.MONTH)
        self.provider.prices[listed.ref] = listed
        return listed.ref

    def make_code(self, code: str) -> str:
        self.provider.promotions[code] = f"promotion_{code}"
        return f"promotion_{code}"

    def fail(self, *, for_a_day: bool) -> None:
        self.provider.ill, self.provider.away = for_a_day, not for_a_day

    def recover(self) -> None:
        self.provider.ill = self.provider.away = False

    def listen(self, url: str) -> None:
        self.provider.listeners[url] = True

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


def opened(side: Side, checkout_id: str = "co_1", cart: Cart = PASS, *, ref: str | None = None) -> Checkout:
    """Return a checkout whose page is open."""
    checkout = a_checkout(side, checkout_id, cart)
    page = side.provider.open_page(checkout, customer_ref=ref, email=None)
    return checkout.opened(token=page.token, url=page.url, expires_at=page.expires_at, now=side.now())


def paid(side: Side, checkout_id: str = "co_1", cart: Cart = PASS) -> Checkout:
    """Return a checkout that was paid on its page."""
    checkout = opened(side, checkout_id, cart)
    side.pay(checkout.token or "")
    return checkout


def nobody_made(side: Side) -> Checkout:
    """Return a checkout whose page nobody made."""
    now = side.now()
    return a_checkout(side).opened(token="cs_test_nobody_made_this", url="", expires_at=now + 60, now=now)


def of_kind[V](kind: type[V], facts: Sequence[Fact]) -> V:
    (value,) = [fact.entry.value for fact in facts if isinstance(fact.entry.value, kind)]
    return value


def bought(side: Side, checkout: Checkout) -> Purchase:
    facts = side.provider.page(checkout).facts
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
        assert [one.quantity for one in plan.items] == [1]
        assert plan.period_start < plan.period_end

    def test_that_sold_a_subscription_says_that_its_first_invoice_is_paid(self, side: Side) -> None:
        facts = side.provider.page(paid(side, cart=MONTHLY)).facts

        payment, invoice = of_kind(Payment, facts), of_kind(Invoice, facts)
        assert (invoice.status, invoice.amount, invoice.first) == (InvoiceStatus.PAID, 4_900, True)
        assert [(line.quantity, line.credit) for line in invoice.lines] == [(1, False)]
        assert payment.invoice == of_kind(Subscription, facts).invoice
        assert f"invoice#{payment.invoice}" in {one.register for one in facts}

    def test_that_nobody_made_is_missing(self, side: Side) -> None:
        with pytest.raises(ObjectMissing):
            side.provider.page(nobody_made(side))

    def test_that_is_closed_can_not_be_paid_any_more(self, side: Side) -> None:
        checkout = opened(side)

        assert side.provider.close_page(checkout).status is PageStatus.EXPIRED
        side.pay(checkout.token or "")
        assert of_kind(Payment, side.provider.page(checkout).facts).status is PaymentStatus.EXPIRED

    def test_that_is_closed_twice_stays_closed(self, side: Side) -> None:
        checkout = opened(side)
        side.provider.close_page(checkout)

        assert side.provider.close_page(checkout).status is PageStatus.EXPIRED

    def test_that_was_paid_is_not_closed(self, side: Side) -> None:
        page = side.provider.close_page(paid(side))

        assert page.status is PageStatus.COMPLETE
        assert of_kind(Payment, page.facts).status is PaymentStatus.PAID

    def test_that_nobody_made_can_not_be_closed(self, side: Side) -> None:
        with pytest.raises(ObjectMissing):
            side.provider.close_page(nobody_made(side))


class TestThePriceOfACatalogue:
    def test_says_what_one_costs_and_how_often(self, side: Side) -> None:
        ref = side.list_price(5_500)

        listed = side.provider.price(ref)

        assert listed == CatalogPrice(ref=ref, amount=5_500, currency="eur", interval=Interval.MONTH)

    def test_is_what_its_page_charges(self, side: Side) -> None:
        ref = side.list_price(5_500)

        checkout = paid(side, cart=replace(MONTHLY, price=ref, unit_amount=5_500))

        plan = of_kind(Subscription, side.provider.page(checkout).facts)
        assert (plan.status, plan.amount) == (SubscriptionStatus.ACTIVE, 5_500)

    def test_that_nobody_made_is_missing(self, side: Side) -> None:
        with pytest.raises(ObjectMissing):
            side.provider.price("price_nobody_made_this")


class TestAPromotion:
    def test_is_found_by_its_code(self, side: Side) -> None:
        ref = side.make_code("SPRING")

        assert side.provider.promotion("SPRING", customer_ref=None) == ref

    def test_that_nobody_made_is_refused_by_the_field(self, side: Side) -> None:
        with pytest.raises(Malformed) as refused:
            side.provider.promotion("AUTUMN", customer_ref=None)

        assert refused.value.field == "promotion_code"


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
        checkout = opened(side, "co_2", MONTHLY, ref=ref)
        side.pay(checkout.token or "")
        plan = of_kind(Subscription, side.provider.page(checkout).facts).ref

        found = history(side, ref)

        assert {checkout.token, plan} <= set(found)

    def test_of_nobody_is_empty(self, side: Side) -> None:
        paid(side)

        assert history(side) == []

    def test_leaves_out_pages_from_before_it_begins(self, side: Side) -> None:
        ref = side.provider.open_page(a_checkout(side), customer_ref=None, email=None).customer_ref or ""

        assert history(side, ref, since=side.now() + 60) == []


class TestAllObjects:
    def listed(self, side: Side, cursor: str | None = None, *, since: int | None = None) -> list[Report]:
        begins = side.now() - 60 if since is None else since
        return list(side.provider.objects(cursor, since=begins, known=Nothing()))

    def test_are_pages_and_running_subscriptions_and_say_what_they_are(self, side: Side) -> None:
        paid(side, "co_1")
        paid(side, "co_2", MONTHLY)

        facts = [fact for one in self.listed(side) for fact in one.read()]

        assert {fact.purchase_id for fact in facts} == {"co_1", "co_2"}
        assert {type(fact.entry.value) for fact in facts} >= {Payment, Subscription, Invoice}

    def test_are_refunds(self, side: Side) -> None:
        purchase = bought(side, paid(side))
        side.provider.refund(purchase.to_refund("test", now=side.now()))

        newest = self.listed(side)[-1]

        assert of_kind(Refund, newest.read()).full

    def test_are_no_subscriptions_that_ended(self, side: Side) -> None:
        purchase = bought(side, paid(side, cart=MONTHLY))
        running = {one.ref for one in self.listed(side, since=side.now() + 60)}
        side.provider.cancel_plan(purchase, at_once=True)

        assert len(running) == 1
        assert running.isdisjoint(one.ref for one in self.listed(side))

    def test_leave_out_pages_from_before_they_begin(self, side: Side) -> None:
        paid(side)

        assert self.listed(side, since=side.now() + 60) == []

    def test_go_on_after_each_cursor(self, side: Side) -> None:
        for n in range(3):
            paid(side, f"co_{n}", MONTHLY)
        every = self.listed(side)

        rest = [[one.ref for one in self.listed(side, one.cursor)] for one in every]

        refs = [one.ref for one in every]
        assert len(refs) >= 6
        assert rest == [refs[n + 1 :] for n in range(len(refs))]


class TestAnEvent:
    def newest(self, side: Side, paid: Checkout) -> WebhookEvent:
        (event,) = [one for one in side.provider.changes(None, since=side.now() - 60) if one.urgent]
        assert paid.token
        return event

    def test_of_a_payment_is_urgent_and_tells_what_was_paid(self, side: Side) -> None:
        event = self.newest(side, paid(side))

        facts = side.provider.facts_of(event, Nothing())

        assert event.relevant
        assert of_kind(Payment, facts).status is PaymentStatus.PAID
        assert {one.purchase_id for one in facts} == {"co_1"}

    def test_in_order_of_a_subscription_is_settled_without_a_call(self, side: Side) -> None:
        paid(side, cart=MONTHLY)
        events = list(side.provider.changes(None, since=side.now() - 60))
        side.fail(for_a_day=False)

        facts = [fact for event in events for fact in side.provider.facts_of(event, Nothing())]

        registers = {fact.register.partition("#")[0] for fact in facts}
        assert registers == {"subscription", "invoice", "payment"}

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


class TestWhatWasNotDelivered:
    def test_is_listed_in_order(self, side: Side) -> None:
        side.listen("http://127.0.0.1:9/webhooks")
        for n in range(3):
            paid(side, f"co_{n}")

        found = [one for one in side.provider.undelivered(since=side.now() - 60) if one.urgent]

        bought = [side.provider.facts_of(one, Nothing())[0].purchase_id for one in found]
        assert bought == ["co_0", "co_1", "co_2"]

    def test_is_nothing_before_its_second(self, side: Side) -> None:
        side.listen("http://127.0.0.1:9/webhooks")
        paid(side)

        assert list(side.provider.undelivered(since=side.now() + 60)) == []

    def test_is_nothing_where_nobody_listens(self, side: Side) -> None:
        paid(side)

        assert list(side.provider.undelivered(since=side.now() - 60)) == []


class TestAnEventById:
    def test_is_as_it_was_told(self, side: Side) -> None:
        paid(side)
        *_, told = side.provider.changes(None, since=side.now() - 60)

        found = side.provider.event(told.event_id)

        assert (found.event_id, found.type, found.created_at) == (told.event_id, told.type, told.created_at)
        facts = side.provider.facts_of(found, Nothing())
        assert {one.purchase_id for one in facts} == {"co_1"}

    def test_is_missing_if_there_is_none(self, side: Side) -> None:
        with pytest.raises(ObjectMissing):
            side.provider.event("evt_9999")


class TestFindingACustomer:
    def test_by_e_mail_address_tells_who_they_are_here(self, side: Side) -> None:
        page = side.provider.open_page(a_checkout(side), customer_ref=None, email="ada@example.com")

        (found,) = side.provider.find_customers("ADA@example.com")

        assert (found.ref, found.customer_id) == (page.customer_ref, "ada")

    def test_finds_nobody_of_another_address(self, side: Side) -> None:
        side.provider.open_page(a_checkout(side), customer_ref=None, email="ada@example.com")

        assert side.provider.find_customers("eve@example.com") == []


class TestFindingAPayment:
    @pytest.mark.parametrize("cart", [PASS, MONTHLY], ids=["pass", "subscription"])
    def test_leads_from_its_page_to_what_was_bought_and_to_its_customer(self, side: Side, cart: Cart) -> None:
        checkout = paid(side, cart=cart)
        ref = bought(side, checkout).refs[0]

        found = side.provider.find_payment(checkout.token or "")

        assert (found.ref, found.customer_id, found.renews) == (ref, "ada", cart is MONTHLY)
        assert {ref, f"{side.provider.name}#{checkout.token}"} < set(found.refs)
        assert side.provider.page(checkout).customer_ref in found.refs

    def test_leads_from_a_bill_to_its_subscription(self, side: Side) -> None:
        checkout = paid(side, cart=MONTHLY)
        bill = of_kind(Payment, side.provider.page(checkout).facts).invoice

        assert side.provider.find_payment(bill or "").ref == bought(side, checkout).refs[0]

    @pytest.mark.parametrize("an_id", ["pi_nobody_made_this", "nothing", "../events", ""])
    def test_is_missing_if_there_is_none(self, side: Side, an_id: str) -> None:
        with pytest.raises(ObjectMissing):
            side.provider.find_payment(an_id)


class TestAnAssignedPayment:
    OFFER = Offer(offer_id="gift", name="A gift", kind=Kind.PASS, amount=500, currency="eur", valid_days=30)

    def test_is_sold_as_the_offer_to_the_customer_and_called_as_the_provider_calls_it(self, side: Side) -> None:
        checkout = paid(side)
        ref = bought(side, checkout).refs[0]

        facts = side.provider.assigned(checkout.token or "", self.OFFER, customer_id="eve")

        payment = of_kind(Payment, facts)
        assert (payment.status, payment.amount) == (PaymentStatus.PAID, 12_000)
        assert {(one.customer_id, one.purchase_id, one.offer_id) for one in facts} == {
            ("eve", ref.partition("#")[2], "gift")
        }
        assert {one.asked for one in facts} == {None}, "whatever was paid is what was asked for"
        assert ref in {one.provider_ref for one in facts}

    def test_can_be_a_subscription(self, side: Side) -> None:
        checkout = paid(side, cart=MONTHLY)
        offer = replace(self.OFFER, kind=Kind.SUBSCRIPTION, interval=Interval.MONTH, valid_days=None)

        facts = side.provider.assigned(checkout.token or "", offer, customer_id="eve")

        assert of_kind(Subscription, facts).status is SubscriptionStatus.ACTIVE
        assert of_kind(Invoice, facts).status is InvoiceStatus.PAID
        assert {one.customer_id for one in facts} == {"eve"}

    def test_says_nothing_before_it_is_paid(self, side: Side) -> None:
        checkout = opened(side)

        assert side.provider.assigned(checkout.token or "", self.OFFER, customer_id="eve") == []


class TestAnOutage:
    def test_is_said_to_be_one(self, side: Side) -> None:
        checkout = opened(side)
        side.fail(for_a_day=False)

        with pytest.raises(ProviderUnavailable):
            side.provider.page(checkout)

        side.recover()
        assert side.provider.page(checkout).status is PageStatus.OPEN

    def test_that_is_replayed_under_its_key_asks_for_another_key(self, side: Side) -> None:
        checkout = a_checkout(side)
        ref = side.provider.open_page(a_checkout(side, "co_0"), customer_ref=None, email=None).customer_ref
        side.fail(for_a_day=True)

        with pytest.raises(IdempotencyKeySpent):
            side.provider.open_page(checkout, customer_ref=ref, email=None)

        side.recover()
        assert side.provider.open_page(checkout.retried(), customer_ref=ref, email=None).status is PageStatus.OPEN


def test_webhook_endpoints_are_listed_with_what_they_are_told_of(side: Side) -> None:
    assert side.provider.endpoints() == []

    side.listen("https://api.shop.example/webhooks")

    assert side.provider.endpoints() == [Endpoint(url="https://api.shop.example/webhooks", enabled=True)]


def test_every_verb_of_the_protocol_is_there_with_its_types(side: Side) -> None:
    def hints(of: Any, verb: str) -> dict[str, str]:
        return {name: json.dumps(str(hint)) for name, hint in get_type_hints(getattr(of, verb)).items()}

    verbs = [name for name in vars(Provider) if not name.startswith("_") and name != "name"]

    assert len(verbs) >= 10
    for verb in verbs:
        assert hints(type(side.provider), verb) == hints(Provider, verb)
