"""What paidup did not open: links, pricing tables, the dashboard, and another product on the same account."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from paidup.model.offer import Interval, Kind, Offer

from tests.alarms import ALARMS, ringing
from tests.emf import samples, values
from tests.functions.merchant import (
    DAY,
    GRACE,
    PLAN,
    as_in_2024,
    bill,
    cases,
    change,
    customer_of,
    deliver,
    link,
    pay_link,
    price,
)
from tests.functions.story import CARD, Story
from tests.functions.test_selling import on_sale
from tests.functions.wire import Wire

GOLD = Offer(
    offer_id="gold", name="Gold", kind=Kind.SUBSCRIPTION, currency="eur", interval=Interval.MONTH, price="price_gold"
)


def of_sort(story: Story, *types: str) -> list[dict[str, Any]]:
    return [event for event in story.news() if event["type"] in types]


class TestAPaymentLinkForAPass:
    @pytest.mark.parametrize("known", [True, False])
    @pytest.mark.parametrize("creates", ["always", "if_required"])
    def test_is_granted_where_its_price_names_an_offer(self, story: Story, known: bool, creates: str) -> None:
        if known:
            customer_of(story)
        url = link(story, price(story, 12_000, every=None, sells="ten_class_pass"), customer_creation=creates)

        pay_link(story, url, client_reference_id=story.buyer)
        story.hear()

        assert set(story.access) == {"ten_class_pass"}
        assert story.purchase["amount"] == 12_000
        assert story.access["ten_class_pass"] is not None, "a pass of 180 days"

    def test_is_granted_for_as_many_as_were_bought(self, story: Story) -> None:
        url = link(story, price(story, 1_500, every=None, lookup_key="day_pass"), quantity=3)

        pay_link(story, url, client_reference_id=story.buyer)
        story.hear()

        assert story.account["access"][0]["quantity"] == 3

    def test_is_refunded_and_disputed_like_any_other(self, story: Story) -> None:
        url = link(story, price(story, 12_000, every=None, sells="ten_class_pass"))
        pay_link(story, url, client_reference_id=story.buyer)
        (paid,) = of_sort(story, "checkout.session.completed")
        deliver(story, paid)

        story.post("refunds", payment_intent=paid["data"]["object"]["payment_intent"])
        story.hear("charge.refunded")

        assert (story.purchase["status"], story.access) == ("refunded", {})

    def test_of_a_customer_we_know_is_a_case_without_a_name(self, story: Story) -> None:
        customer_of(story)
        url = link(story, price(story, 700, every=None))

        pay_link(story, url, client_reference_id=story.buyer)
        story.hear()

        assert story.access == {}
        assert list(cases(story)) == ["unknown-price"]

    def test_of_nobody_we_know_is_ignored_without_a_name(self, story: Story) -> None:
        pay_link(story, link(story, price(story, 700, every=None)), client_reference_id="another-shops-user")

        story.hear()

        assert story.world.services.table.account("another-shops-user").version == 0

    def test_without_any_reference_is_ignored(self, story: Story) -> None:
        pay_link(story, link(story, price(story, 12_000, every=None, sells="ten_class_pass")))

        story.hear()

        assert story.account["purchases"] == []


class TestAPaymentLinkForASubscription:
    @pytest.fixture
    def url(self, story: Story) -> str:
        return link(story, price(story, 4_900, sells="monthly"))

    def ends(self, story: Story) -> int:
        ref = story.purchase["provider_ref"].removeprefix("stripe#")
        plan = story.world.stripe.v1.subscriptions.retrieve(ref).to_dict()
        return int(plan["items"]["data"][0]["current_period_end"])

    @pytest.mark.parametrize("known", [True, False])
    def test_is_granted_whether_its_guest_is_known_or_not(self, story: Story, url: str, known: bool) -> None:
        if known:
            customer_of(story)

        pay_link(story, url, client_reference_id=story.buyer)
        story.hear()

        assert story.access == {"monthly": self.ends(story) + GRACE}

    @pytest.mark.parametrize("alone", ["checkout.session.completed", f"{PLAN}.created", "invoice.paid"])
    def test_is_granted_by_any_one_of_its_events(self, story: Story, url: str, alone: str) -> None:
        pay_link(story, url, client_reference_id=story.buyer)

        story.hear(alone)
        story.is_swept()

        assert story.access == {"monthly": self.ends(story) + GRACE}

    def test_is_one_purchase_in_any_order(self, story: Story, url: str) -> None:
        pay_link(story, url, client_reference_id=story.buyer)

        deliver(story, *reversed(story.news()))

        assert len(story.account["purchases"]) == 1
        assert story.access == {"monthly": self.ends(story) + GRACE}

    def test_is_renewed_and_ends(self, story: Story, url: str) -> None:
        pay_link(story, url, client_reference_id=story.buyer)
        story.hear()
        story.world.pass_time(32 * DAY)
        story.hear()
        assert story.access == {"monthly": self.ends(story) + GRACE}

        story.cancel()
        story.hear()

        assert (story.purchase["status"], story.access) == ("canceled", {})

    def test_of_a_customer_we_know_is_a_case_without_a_name(self, story: Story) -> None:
        customer_of(story)

        pay_link(story, link(story, price(story, 300)), client_reference_id=story.buyer)
        story.hear()

        assert story.access == {}
        assert list(cases(story)) == ["unknown-price"]

    def test_of_nobody_we_know_is_ignored_without_a_name(self, story: Story) -> None:
        pay_link(story, link(story, price(story, 300)), client_reference_id="another-shops-user")

        story.hear()

        assert story.world.services.table.account("another-shops-user").version == 0

    def test_from_a_pricing_table_is_granted_too(self, story: Story) -> None:
        sold = price(story, 4_900, lookup_key="monthly")

        pay_link(story, f"{story.world.fakes.url}/stripe/pricing-table/{sold}", client_reference_id=story.buyer)
        story.hear()

        assert story.access == {"monthly": self.ends(story) + GRACE}


class TestTheDashboard:
    def session(self, story: Story, sold: str, mode: str, **more: Any) -> Any:
        fields = {"line_items[0][price]": sold, "line_items[0][quantity]": 1, "mode": mode}
        done = {"success_url": "https://shop.example/done"}
        return story.post("checkout/sessions", customer=customer_of(story), **fields, **done, **more)

    def test_can_sell_a_pass_to_a_customer_we_know(self, story: Story) -> None:
        session = self.session(story, price(story, 12_000, every=None, sells="ten_class_pass"), "payment")

        story.world.pay(session["url"])
        story.hear()

        assert set(story.access) == {"ten_class_pass"}

    def test_can_sell_a_subscription_to_a_customer_we_know(self, story: Story) -> None:
        session = self.session(story, price(story, 4_900, lookup_key="monthly"), "subscription")

        story.world.pay(session["url"])
        story.hear()

        assert story.access == {"monthly": story.period_end() + GRACE}

    @pytest.mark.parametrize("page_first", [True, False])
    def test_sells_once_what_its_page_makes_an_invoice_of(self, story: Story, page_first: bool) -> None:
        sold = price(story, 12_000, every=None, sells="ten_class_pass")
        session = self.session(story, sold, "payment", **{"invoice_creation[enabled]": "true"})
        story.world.pay(session["url"])
        news = of_sort(story, "checkout.session.completed", "invoice.paid")
        assert [one["type"] for one in news] == ["invoice.paid", "checkout.session.completed"]

        deliver(story, *(reversed(news) if page_first else news))
        story.world.sync(customer=story.buyer)

        assert [one["offer_id"] for one in story.account["access"]] == ["ten_class_pass"]
        assert len(story.account["purchases"]) == 1

    def test_sells_once_what_a_debit_pays_days_later(self, story: Story) -> None:
        sold = price(story, 12_000, every=None, sells="ten_class_pass")
        session = self.session(story, sold, "payment", **{"invoice_creation[enabled]": "true"})
        story.world.pay(session["url"], "delayed_success")
        story.hear()
        assert story.access == {}

        story.world.pass_time(6 * DAY)
        assert "invoice.paid" in story.hear()

        assert [one["offer_id"] for one in story.account["access"]] == ["ten_class_pass"]

    def test_sells_what_names_nothing_to_a_case(self, story: Story) -> None:
        session = self.session(story, price(story, 12_000, every=None), "payment")

        story.world.pay(session["url"])
        story.hear()

        assert story.access == {}
        assert list(cases(story)) == ["unknown-price"]


class TestAnInvoiceMadeInTheDashboard:
    def test_is_granted_to_a_customer_we_know(self, story: Story) -> None:
        customer = customer_of(story)

        bill(story, customer, price(story, 12_000, every=None, sells="ten_class_pass"))
        story.hear()

        assert set(story.access) == {"ten_class_pass"}
        assert story.purchase["amount"] == 12_000

    def test_is_refunded_like_any_other(self, story: Story) -> None:
        customer = customer_of(story)
        made = bill(story, customer, price(story, 12_000, every=None, sells="ten_class_pass"))
        story.hear()
        paid = story.world.stripe.v1.invoice_payments.list({"invoice": made["id"]}).data[0].to_dict()

        story.post("refunds", payment_intent=paid["payment"]["payment_intent"])
        story.hear()

        assert (story.purchase["status"], story.access) == ("refunded", {})

    def test_that_is_sent_grants_nothing_before_it_is_paid_on_its_page(self, story: Story) -> None:
        customer = customer_of(story)
        made = story.post("invoices", customer=customer, collection_method="send_invoice", days_until_due=14)
        sold = price(story, 12_000, every=None, sells="ten_class_pass")
        story.post("invoiceitems", customer=customer, invoice=made["id"], **{"pricing[price]": sold})
        story.post(f"invoices/{made['id']}/send")
        story.hear()
        assert story.access == {}

        story.trigger(f"invoices/{made['id']}/pay", card=CARD)
        story.hear()

        assert set(story.access) == {"ten_class_pass"}

    def test_is_found_by_a_sync_if_every_event_was_lost(self, story: Story) -> None:
        customer = customer_of(story)
        bill(story, customer, price(story, 12_000, every=None, sells="ten_class_pass"))
        story.news()

        story.world.sync(customer=story.buyer)

        assert set(story.access) == {"ten_class_pass"}

    def test_is_a_case_without_a_name(self, story: Story) -> None:
        customer = customer_of(story)

        bill(story, customer, price(story, 12_000, every=None))
        story.hear()

        assert story.access == {}
        assert list(cases(story)) == ["unknown-price"]

    def test_of_nobody_we_know_is_ignored(self, story: Story) -> None:
        stranger = str(story.post("customers", email="eve@example.com")["id"])

        bill(story, stranger, price(story, 12_000, every=None, sells="ten_class_pass"))
        story.hear()

        assert story.account["purchases"] == []


class TestWhatIsAddedToTheNextBill:
    """An item that the merchant adds by hand to what the customer's subscription bills next."""

    @pytest.fixture(params=["ten_class_pass", None], ids=["an offer's", "nothing's"])
    def renewed(self, story: Story, request: pytest.FixtureRequest) -> Story:
        """A buyer whose month was renewed with something added to its bill, at a price of an offer or of nothing."""
        story.buys("monthly")
        story.hear()
        sold = price(story, 12_000, every=None, sells=request.param)
        story.post("invoiceitems", customer=story.customer(), **{"pricing[price]": sold})
        story.world.pass_time(32 * DAY)
        return story

    def test_is_a_case_and_the_month_is_granted(self, renewed: Story) -> None:
        renewed.hear()

        assert renewed.access == {"monthly": renewed.period_end() + GRACE}
        assert list(cases(renewed)) == ["billed-beside"]

    def test_lets_nobody_ask_for_ever(self, renewed: Story) -> None:
        renewed.hear()
        renewed.is_swept()

        (purchase,) = renewed.world.services.table.purchases_of(renewed.buyer)
        now = renewed.world.now()
        due_at = purchase.due_at(now=now, policy=renewed.world.services.policy)
        assert due_at
        assert due_at > now + DAY


class TestAPriceThatAnOfferNames:
    """The offer has the price's id or its lookup key as its own `price`. At Stripe, nothing names the offer."""

    @pytest.fixture(params=["by its id", "by its lookup key"])
    def sold(self, request: pytest.FixtureRequest, story: Story) -> Iterator[str]:
        """A price for a month of `gold`."""
        named = {} if request.param == "by its id" else {"lookup_key": "gold_eur"}
        an_id = price(story, 8_000, **named)
        with on_sale(story.world, replace(GOLD, price=named.get("lookup_key", an_id))):
            yield an_id

    def test_sells_it_by_a_link(self, story: Story, sold: str) -> None:
        customer_of(story)

        pay_link(story, link(story, sold), client_reference_id=story.buyer)
        story.hear()

        assert list(story.access) == ["gold"]

    def test_sells_it_by_a_link_to_a_customer_whom_nobody_knew(self, story: Story, sold: str) -> None:
        pay_link(story, link(story, sold), client_reference_id=story.buyer)
        story.hear()

        assert list(story.access) == ["gold"]

    def test_sells_it_by_a_subscription_made_in_the_dashboard(self, story: Story, sold: str) -> None:
        customer = customer_of(story)

        story.post(
            "subscriptions", customer=customer, default_payment_method="pm_card_visa", **{"items[0][price]": sold}
        )
        story.hear()

        assert list(story.access) == ["gold"]
        assert cases(story) == {}

    def test_sells_it_if_only_a_sync_finds_it(self, story: Story, sold: str) -> None:
        story.buys("monthly")
        story.hear()
        story.world.pass_time(DAY)
        change(story, to=sold, proration_behavior="always_invoice")
        story.news()

        story.world.sync(customer=story.buyer)

        assert list(story.access) == ["gold"]

    def test_sells_it_by_a_change_in_the_dashboard(self, story: Story, sold: str) -> None:
        story.buys("monthly")
        story.hear()
        story.world.pass_time(DAY)

        change(story, to=sold, proration_behavior="always_invoice")
        story.hear()

        assert list(story.access) == ["gold"]
        assert cases(story) == {}

    def test_sells_it_by_an_invoice_made_in_the_dashboard(self, story: Story) -> None:
        customer = customer_of(story)
        an_id = price(story, 2_500, every=None)
        course = Offer(offer_id="course", name="Course", kind=Kind.PASS, currency="eur", price=an_id, valid_days=30)

        with on_sale(story.world, course):
            bill(story, customer, an_id)
            story.hear()

        assert list(story.access) == ["course"]
        assert cases(story) == {}


class TestAnotherProductOnTheSameAccount:
    """Its events are ignored once, counted, and neither retried nor alarmed."""

    @pytest.fixture
    def foreign(self, story: Story, wire: Wire) -> list[dict[str, Any]]:
        """Everything that Stripe has to say of another product's customer."""
        metadata = {"metadata[user]": "17", "metadata[customer_id]": "their-own-id"}
        stranger = str(story.post("customers", email="eve@example.com", **metadata)["id"])
        fields = {"items[0][price]": price(story, 2_000), "default_payment_method": "pm_card_visa"}
        plan = story.post("subscriptions", customer=stranger, **fields, **metadata)
        paid = story.world.stripe.v1.invoice_payments.list({"invoice": plan["latest_invoice"]}).data[0].to_dict()
        intent = paid["payment"]["payment_intent"]
        pay_link(story, link(story, price(story, 900, every=None)), client_reference_id="user-17")
        story.world.pass_time(5 * DAY)
        story.post("refunds", payment_intent=intent, amount=500)
        story.trigger("disputes", payment_intent=intent, amount=100)
        story.world.stripe.v1.subscriptions.cancel(plan["id"])
        wire.asked.clear()
        return story.news()

    def is_quiet(self, story: Story) -> bool:
        failed = list(story.world.services.table.failed_events())
        accounts = [story.world.services.table.account(one).version for one in ("their-own-id", "user-17")]
        return not failed and accounts == [0, 0] and story.account["purchases"] == []

    def test_is_ignored(self, story: Story, foreign: list[dict[str, Any]]) -> None:
        deliver(story, *foreign)

        assert self.is_quiet(story)

    def test_is_ignored_in_another_version_too(self, story: Story, foreign: list[dict[str, Any]]) -> None:
        deliver(story, *map(as_in_2024, foreign))

        assert self.is_quiet(story)

    def test_costs_no_call_for_its_subscription_and_invoices(
        self, story: Story, foreign: list[dict[str, Any]], wire: Wire
    ) -> None:
        known = [one for one in foreign if one["type"].startswith((PLAN, "invoice."))]
        deliver(story, *known)
        first = len(wire.asked)

        deliver(story, *[one | {"id": f"{one['id']}again"} for one in known])

        assert len(wire.asked) - first == 0, wire.asked
        assert first <= 1, wire.asked

    def test_is_counted_once_and_rings_no_alarm(
        self, story: Story, foreign: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
    ) -> None:
        capsys.readouterr()
        deliver(story, *foreign)
        deliver(story, *foreign)

        found = samples(capsys.readouterr().out)
        table = story.world.services.table
        records = [record for one in foreign if (record := table.event("stripe", one["id"]))]
        assert {str(one.status) for one in records} == {"ignored"}
        assert values(found, "EventIgnored") == [1.0] * len(records)
        assert ringing(found, among=[name for name in ALARMS if name.startswith(("Event", "Webhook", "Case"))]) == set()
