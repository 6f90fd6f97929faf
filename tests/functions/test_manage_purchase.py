"""Managing a subscription: customers change, cancel, resume and mend it, and whatever they do twice is done once."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from paidup.model.offer import Interval, Kind, Offer

from tests.functions.merchant import DAY, GRACE
from tests.functions.story import ASKS_ALWAYS, CARD, DECLINED_LATER, MOMENT_S, Story
from tests.functions.wire import Exchange, Wire, lose_the_answer
from tests.handlers import Answer, request
from tests.world import World

DECLINED = "4000000000000002"
SEATS = Offer(
    offer_id="seats", name="Seats", kind=Kind.SUBSCRIPTION, amount=900, currency="eur", interval=Interval.MONTH
)
BIG = replace(SEATS, offer_id="big", name="Big", amount=9_900)
PORTAL = {
    "features[payment_method_update][enabled]": "true",
    "features[invoice_history][enabled]": "true",
}


@pytest.fixture(scope="module", autouse=True)
def on_offer(world: World) -> None:
    for offer in (
        SEATS,
        BIG,
        replace(BIG, offer_id="quarterly", amount=12_000, interval_count=3),
        replace(BIG, offer_id="a_little_more", amount=4_930),
        replace(BIG, offer_id="dollars", currency="usd"),
        replace(BIG, offer_id="magazine", group="magazines"),
        replace(BIG, offer_id="elsewhere", providers=("memory",)),
    ):
        world.services.table.put_offer(offer)
    url = f"{world.fakes.url}/stripe/v1/billing_portal/configurations"
    world.http.post(url, data=PORTAL, auth=("sk_test_local", "")).raise_for_status()


@pytest.fixture(autouse=True)
def nothing_is_left(story: Story) -> Iterator[None]:
    yield
    boto3.client("sqs").purge_queue(QueueUrl=os.environ["PAIDUP_WEBHOOK_QUEUE_URL"])


@pytest.fixture
def monthly(story: Story) -> Story:
    """A buyer whose monthly subscription began ten days ago."""
    return began(story, "monthly")


def began(story: Story, offer_id: str, card: str = CARD, **more: Any) -> Story:
    story.buys(offer_id, card, **more)
    if card == ASKS_ALWAYS:
        story.world.http.post(f"{story.token['url']}/authenticate", data={"authentication": "complete"})
    story.hear()
    story.world.pass_time(10 * DAY)
    return story


def manage(
    story: Story, what: str, body: Any = None, *, who: str | None = None, key: str | None = None, **query: Any
) -> Answer:
    """Send what the customer wants of their purchase, a moment after whatever happened before."""
    story.world.pass_time(MOMENT_S)
    return request(
        f"POST /purchases/{story.token['checkout_id']}/{what}",
        customer=who or story.buyer,
        body={} if body is None else body,
        query=query,
        headers={"Idempotency-Key": key},
    )


def change(story: Story, offer_id: str, quantity: int | None = None, **more: Any) -> Answer:
    return manage(story, "change", {"offer_id": offer_id} | ({"quantity": quantity} if quantity else {}), **more)


def refused(found: Answer, status: int, slug: str) -> bool:
    """Check that the answer is that refusal, and says what to do next."""
    assert found.json["next"].endswith("."), found.text
    return (found.status, found.json["type"]) == (status, f"urn:paidup:problem:{slug}")


def invoices(story: Story) -> list[Any]:
    """Return the subscription's invoices at Stripe, the newest first."""
    asked: Any = {"subscription": story.plan()["id"], "limit": 100}
    return [one.to_dict() for one in story.world.stripe.v1.invoices.list(asked).data]


def paid(story: Story) -> int:
    return sum(one["amount_paid"] for one in invoices(story))


def card_on_file(story: Story, number: str) -> None:
    story.trigger("cards", customer=story.customer(), card=number)


class TestChanging:
    def test_to_another_offer_is_charged_by_proration_and_grants_it_at_once(self, monthly: Story) -> None:
        found = change(monthly, "big")

        assert (found.status, found.json["state"]) == (200, "changed"), found.text
        assert (found.json["offer_id"], found.json["amount"], found.json["status"]) == ("big", 9_900, "active")
        assert monthly.access == {"big": monthly.period_end() + GRACE}
        newest = invoices(monthly)[0]
        assert (newest["status"], len(newest["lines"]["data"])) == ("paid", 2)
        assert 0 < newest["amount_paid"] < 9_900 - 4_900

    def test_to_another_interval_begins_a_period_of_its_own(self, monthly: Story) -> None:
        found = change(monthly, "yearly")

        assert (found.json["offer_id"], found.json["renews_at"]) == ("yearly", monthly.period_end())
        assert monthly.period_end() > monthly.world.now() + 360 * DAY
        assert monthly.access == {"yearly": monthly.period_end() + GRACE}
        assert len(monthly.account["purchases"]) == 1

    def test_to_an_interval_of_several_months(self, monthly: Story) -> None:
        found = change(monthly, "quarterly")

        assert found.json["offer_id"] == "quarterly"
        assert found.json["renews_at"] > monthly.world.now() + 85 * DAY

    def test_of_the_quantity_moves_the_billing_version(self, story: Story) -> None:
        began(story, "seats", quantity=5)
        before = story.version

        found = change(story, "seats", 4)

        assert (found.json["quantity"], story.account["access"][0]["quantity"]) == (4, 4)
        assert story.version == before + 1

    def test_without_a_quantity_keeps_it(self, story: Story) -> None:
        began(story, "seats", quantity=3)

        assert change(story, "big").json["quantity"] == 3

    def test_to_less_charges_nothing_and_credits_the_rest(self, story: Story) -> None:
        began(story, "big")
        before = paid(story)

        found = change(story, "monthly")

        assert (found.status, found.json["offer_id"]) == (200, "monthly")
        assert paid(story) == before

    def test_to_so_little_more_that_it_cannot_be_charged_is_paid_with_the_renewal(self, monthly: Story) -> None:
        told = change(monthly, "a_little_more", preview="true").json
        found = change(monthly, "a_little_more")

        assert told["due_now"] == 0
        assert (found.status, found.json["state"], found.json["status"]) == (200, "changed", "active")
        assert monthly.access == {"a_little_more": monthly.period_end() + GRACE}
        monthly.world.pass_time(30 * DAY)
        monthly.hear()
        assert 4_930 < invoices(monthly)[0]["amount_paid"] < 4_930 + 50
        assert abs(invoices(monthly)[0]["amount_paid"] - told["next_amount"]) <= 1  # seconds had passed
        assert monthly.access == {"a_little_more": monthly.period_end() + GRACE}

    def test_and_back_sells_the_first_offer_again(self, monthly: Story) -> None:
        change(monthly, "big")

        found = change(monthly, "monthly")

        assert (found.json["offer_id"], monthly.access) == ("monthly", {"monthly": monthly.period_end() + GRACE})

    def test_within_a_trial_charges_nothing(self, story: Story) -> None:
        story.buys("try_monthly")
        story.hear()

        found = change(story, "big")

        assert (found.json["offer_id"], found.json["status"], paid(story)) == ("big", "trialing", 0)

    def test_names_the_offer_at_stripe_so_that_its_webhooks_say_the_same(self, monthly: Story) -> None:
        change(monthly, "big")
        before = monthly.account

        monthly.hear()

        assert monthly.account == before
        price = monthly.plan()["items"]["data"][0]["price"]
        assert price["metadata"] == {"offer_id": "big"}
        assert monthly.world.services.table.open_cases() == []

    def test_makes_one_price_for_an_offer(self, world: World, monthly: Story) -> None:
        change(monthly, "big")
        change(monthly, "monthly")
        change(monthly, "big")

        found = [one.unit_amount for one in world.stripe.v1.prices.list({"active": True, "limit": 100}).data]
        assert found.count(9_900) == 1

    def test_to_a_price_of_the_catalogue_that_names_no_offer(self, world: World, monthly: Story) -> None:
        more = {"recurring[interval]": "month", "product_data[name]": "Gold"}
        listed = monthly.post("prices", currency="eur", unit_amount=7_700, **more)
        world.services.table.put_offer(replace(BIG, offer_id="gold", amount=None, price=listed["id"]))

        found = change(monthly, "gold")
        monthly.hear()

        assert found.json["offer_id"] == "gold"
        assert monthly.access == {"gold": monthly.period_end() + GRACE}

    def test_is_renewed_at_the_new_price(self, monthly: Story) -> None:
        change(monthly, "big")
        monthly.world.pass_time(25 * DAY)
        monthly.hear()

        assert invoices(monthly)[0]["amount_paid"] == 9_900
        assert monthly.access == {"big": monthly.period_end() + GRACE}


class TestChangingTwice:
    def test_is_charged_once(self, monthly: Story) -> None:
        first, after = change(monthly, "big"), paid(monthly)

        again = change(monthly, "big")

        assert (again.status, again.json) == (200, first.json)
        assert paid(monthly) == after

    def test_under_one_key_is_made_once(self, monthly: Story) -> None:
        first = change(monthly, "big", key="click-1")

        again = change(monthly, "big", key="click-1")

        assert again.json == first.json
        assert len(invoices(monthly)) == 2

    def test_under_an_old_key_says_how_it_stands_now(self, monthly: Story) -> None:
        change(monthly, "big", key="click-1")
        change(monthly, "monthly", key="click-2")

        again = change(monthly, "big", key="click-1")

        assert again.json["offer_id"] == monthly.purchase["offer_id"] == "monthly"

    def test_finishes_what_was_not_answered(self, monthly: Story, wire: Wire) -> None:
        wire.inject("POST /v1/subscriptions/", lose_the_answer)
        assert change(monthly, "big", key="click-1").status == 503
        wire.mend()

        again = change(monthly, "big", key="click-1")

        assert (again.status, again.json["offer_id"]) == (200, "big")
        assert len(invoices(monthly)) == 2


class TestAChangeThatIsDeclined:
    def test_changes_nothing(self, story: Story) -> None:
        began(story, "monthly", DECLINED_LATER)
        before = story.account

        found = change(story, "big")

        assert refused(found, 402, "change-declined")
        assert story.account["access"] == before["access"]
        assert story.account["billing_version"] == before["billing_version"]
        assert (story.purchase["offer_id"], story.purchase["status"]) == ("monthly", "active")
        assert story.purchase["mend_url"] is None

    def test_leaves_no_bill_that_could_be_charged_later(self, story: Story) -> None:
        began(story, "monthly", DECLINED_LATER)
        change(story, "yearly")
        story.world.pass_time(2 * DAY)
        story.hear()

        assert [one["status"] for one in invoices(story)] == ["void", "paid"]
        assert story.access == {"monthly": story.period_end() + GRACE}

    def test_can_be_made_with_another_card(self, story: Story) -> None:
        began(story, "monthly", DECLINED_LATER)
        assert change(story, "big", key="click-1").status == 402
        card_on_file(story, CARD)

        found = change(story, "big", key="click-2")

        assert (found.status, found.json["offer_id"]) == (200, "big")

    def test_is_declined_again(self, story: Story) -> None:
        began(story, "monthly", DECLINED_LATER)

        found = [change(story, "big", 2) for _ in range(2)]

        assert [one.status for one in found] == [402, 402]
        assert story.access == {"monthly": story.period_end() + GRACE}


class TestAChangeThatTheBankAsksAbout:
    def test_waits_and_says_where_to_approve_it(self, story: Story) -> None:
        began(story, "monthly", ASKS_ALWAYS)

        found = change(story, "big")

        assert (found.status, found.json["state"], found.json["offer_id"]) == (202, "pending", "monthly"), found.text
        assert found.json["mend_url"].startswith("http")
        assert story.access == {"monthly": story.period_end() + GRACE}

    def test_twice_waits_for_the_same_bill(self, story: Story) -> None:
        began(story, "monthly", ASKS_ALWAYS)

        first, again = change(story, "big"), change(story, "big")

        assert (again.status, again.json) == (202, first.json)
        assert len(invoices(story)) == 2

    def test_is_made_when_it_is_approved(self, story: Story) -> None:
        began(story, "monthly", ASKS_ALWAYS)
        change(story, "big")

        story.trigger(f"invoices/{invoices(story)[0]['id']}/pay")
        story.hear()

        assert story.access == {"big": story.period_end() + GRACE}
        assert story.purchase["mend_url"] is None

    def test_is_given_up_by_asking_for_what_there_is(self, story: Story) -> None:
        began(story, "monthly", ASKS_ALWAYS)
        change(story, "big")

        found = change(story, "monthly")

        assert (found.status, found.json["offer_id"], found.json["mend_url"]) == (200, "monthly", None)
        assert invoices(story)[0]["status"] == "void"

    def test_gives_way_to_another_change(self, story: Story) -> None:
        began(story, "monthly", ASKS_ALWAYS)
        change(story, "big")

        assert change(story, "yearly").status == 202
        assert [one["status"] for one in invoices(story)] == ["open", "void", "paid"]

    def test_is_given_up_after_a_day(self, story: Story) -> None:
        began(story, "monthly", ASKS_ALWAYS)
        change(story, "big")
        story.world.pass_time(DAY)
        story.hear()

        assert (story.purchase["offer_id"], story.purchase["mend_url"]) == ("monthly", None)
        assert story.access == {"monthly": story.period_end() + GRACE}


def spoiled(**fields: Any) -> Any:
    """Return how a request fares that Stripe answers with *fields* in the place of its own."""

    def answer(exchange: Exchange) -> None:
        status, headers, body = exchange.forward()
        kept = [(name, value) for name, value in headers if name.lower() != "content-length"]
        exchange.answer(status, kept, json.dumps(json.loads(body) | fields).encode())

    return answer


class TestAnAnswerOfStripesThatCannotBeRead:
    """It is an outage of Stripe's, and no crash of ours."""

    @pytest.mark.parametrize(
        ("act", "asked", "fields"),
        [
            ({"preview": "true"}, "POST /v1/invoices/create_preview", {"lines": {"object": "list", "data": []}}),
            ({"preview": "true"}, "GET /v1/subscriptions/", {"items": None}),
            ({}, "GET /v1/subscriptions/", {"items": {"object": "list", "data": []}}),
            ({}, "POST /v1/subscriptions/", {"status": "asleep"}),
        ],
    )
    def test_about_a_change(
        self, monthly: Story, wire: Wire, act: dict[str, Any], asked: str, fields: dict[str, Any]
    ) -> None:
        wire.inject(asked, spoiled(**fields))

        assert change(monthly, "big", **act).status in (502, 503)

    @pytest.mark.parametrize("what", ["cancel", "resume"])
    def test_about_an_end(self, monthly: Story, wire: Wire, what: str) -> None:
        if what == "resume":
            manage(monthly, "cancel")
        wire.inject("POST /v1/subscriptions/", spoiled(items=None))

        assert manage(monthly, what).status in (502, 503)

    def test_but_for_an_invoice_that_there_need_not_be(self, monthly: Story, wire: Wire) -> None:
        wire.inject("GET /v1/subscriptions/", spoiled(latest_invoice=None))

        assert change(monthly, "big").status == 200


class TestAPreview:
    def test_says_what_is_due_and_changes_nothing(self, monthly: Story) -> None:
        before, plan = monthly.account, monthly.plan()

        found = change(monthly, "big", preview="true")

        assert found.status == 200, found.text
        assert (found.json["next_amount"], found.json["next_at"]) == (9_900, monthly.period_end())
        assert (found.json["currency"], found.json["digits"]) == ("eur", 2)
        assert (monthly.account, monthly.plan()) == (before, plan)
        change(monthly, "big")
        assert abs(invoices(monthly)[0]["amount_paid"] - found.json["due_now"]) <= 1  # seconds have passed

    def test_of_another_interval(self, monthly: Story) -> None:
        found = change(monthly, "yearly", preview="true").json

        assert 49_000 - 4_900 < found["due_now"] < 49_000
        assert found["next_amount"] == 49_000
        assert found["next_at"] > monthly.world.now() + 360 * DAY

    def test_of_less_says_what_is_credited(self, story: Story) -> None:
        began(story, "big")

        found = change(story, "monthly", preview="true").json

        assert (found["due_now"], found["next_amount"]) == (0, 4_900)
        assert 0 < found["credited"] < 5_000

    def test_within_a_trial_says_that_nothing_is_due(self, story: Story) -> None:
        story.buys("try_monthly")
        story.hear()

        found = change(story, "big", preview="true").json

        assert (found["due_now"], found["next_amount"], found["next_at"]) == (0, 9_900, story.period_end())

    def test_of_what_it_is_already(self, monthly: Story) -> None:
        found = change(monthly, "monthly", preview="true").json

        assert (found["due_now"], found["next_amount"]) == (0, 4_900)

    @pytest.mark.parametrize("preview", ["yes", "", "1"])
    def test_is_asked_for_in_one_way(self, monthly: Story, preview: str) -> None:
        found = change(monthly, "big", preview=preview)

        assert (found.status, found.json["field"]) == (422, "preview")


class TestWhatCannotBeChanged:
    @pytest.mark.parametrize("offer_id", ["ten_class_pass", "dollars", "magazine", "elsewhere", "nothing"])
    def test_to_an_offer_that_does_not_fit(self, monthly: Story, offer_id: str) -> None:
        found = change(monthly, offer_id)

        assert (found.status, found.json["field"]) == (422, "offer_id")
        assert len(invoices(monthly)) == 1

    @pytest.mark.parametrize("quantity", [0, 10_001, "2", True])
    def test_to_a_quantity_that_is_none(self, monthly: Story, quantity: Any) -> None:
        found = manage(monthly, "change", {"offer_id": "seats", "quantity": quantity})

        assert (found.status, found.json["field"]) == (422, "quantity")

    def test_while_a_payment_is_due(self, story: Story) -> None:
        began(story, "monthly", DECLINED_LATER)
        story.world.pass_time(22 * DAY)
        story.hear()

        assert refused(change(story, "big"), 409, "payment-due")

    def test_while_it_is_about_to_end(self, monthly: Story) -> None:
        manage(monthly, "cancel")

        assert refused(change(monthly, "big"), 409, "resume-first")

    def test_while_it_is_paid_by_debit(self, story: Story) -> None:
        began(story, "monthly", "delayed_success")

        assert refused(change(story, "big"), 409, "change-impossible")
        assert story.access == {"monthly": story.period_end() + GRACE}

    def test_while_its_collection_is_paused(self, monthly: Story) -> None:
        monthly.post(f"subscriptions/{monthly.plan()['id']}", **{"pause_collection[behavior]": "void"})
        monthly.hear()

        assert refused(change(monthly, "big"), 409, "collection-paused")


WAYS = [("change", {"offer_id": "big"}), ("cancel", {}), ("resume", {})]


@pytest.mark.parametrize(("what", "body"), WAYS)
class TestWhatCannotBeManaged:
    def test_is_another_customers(self, monthly: Story, what: str, body: Any) -> None:
        assert refused(manage(monthly, what, body, who="eve"), 404, "not-found")

    def test_is_nothing_at_all(self, story: Story, what: str, body: Any) -> None:
        story.token = {"checkout_id": "co_nothing"}

        assert refused(manage(story, what, body), 404, "not-found")

    def test_is_a_pass(self, story: Story, what: str, body: Any) -> None:
        story.buys("day_pass")
        story.hear("checkout.session.completed")

        assert refused(manage(story, what, body), 409, "not-a-subscription")

    def test_has_ended(self, monthly: Story, what: str, body: Any) -> None:
        monthly.cancel()
        monthly.hear()

        assert refused(manage(monthly, what, body), 409, "subscription-ended")

    def test_has_ended_without_a_webhook(self, monthly: Story, what: str, body: Any) -> None:
        """What Stripe answers is settled first: the end is known after that."""
        monthly.cancel()

        found = manage(monthly, what, body)

        assert monthly.access == {}
        assert found.json["status"] == "canceled" if what == "cancel" else refused(found, 409, "subscription-ended")

    def test_is_being_refunded(self, monthly: Story, wire: Wire, what: str, body: Any) -> None:
        purchase = monthly.world.services.table.purchase(monthly.buyer, monthly.token["checkout_id"])
        assert purchase
        decided = purchase.to_refund("support decided", now=monthly.world.now())
        _write(monthly, decided)

        assert refused(manage(monthly, what, body), 409, "being-refunded")
        assert wire.asked == []


def _write(story: Story, purchase: Any) -> None:
    from paidup.flows.transact import update

    services, now = story.world.services, story.world.now()
    update(story.buyer, purchase.purchase_id, lambda _, change: change.put_purchase(purchase), services, now=now)


class TestCancelling:
    def test_ends_it_with_its_period(self, monthly: Story) -> None:
        end = monthly.period_end()

        found = manage(monthly, "cancel")

        assert found.status == 200, found.text
        assert (found.json["status"], found.json["cancel_at"], found.json["renews_at"]) == ("active", end, None)
        assert monthly.access == {"monthly": end}

    def test_twice_is_the_same(self, monthly: Story) -> None:
        first, again = manage(monthly, "cancel"), manage(monthly, "cancel", {"at": "period_end"})

        assert (again.status, again.json) == (200, first.json)

    def test_ends_access_when_the_period_is_over(self, monthly: Story) -> None:
        manage(monthly, "cancel")
        monthly.world.pass_time(25 * DAY)

        assert monthly.access == {}

    def test_now_is_refused_unless_the_shop_allows_it(self, monthly: Story) -> None:
        assert refused(manage(monthly, "cancel", {"at": "now"}), 409, "cancel-now-refused")
        assert monthly.plan()["status"] == "active"

    def test_now_ends_access_at_once(self, monthly: Story, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PAIDUP_CANCEL_NOW", "allow")

        first, again = manage(monthly, "cancel", {"at": "now"}), manage(monthly, "cancel", {"at": "now"})

        assert (first.status, first.json["status"]) == (200, "canceled")
        assert (again.status, again.json) == (200, first.json)
        assert monthly.access == {}

    def test_keeps_an_end_that_the_shop_chose(self, monthly: Story) -> None:
        at = monthly.world.now() + 3 * DAY
        monthly.post(f"subscriptions/{monthly.plan()['id']}", cancel_at=at)
        monthly.hear()

        assert manage(monthly, "cancel").json["cancel_at"] == at

    @pytest.mark.parametrize("at", ["tomorrow", "", None, 5])
    def test_at_another_time_is_refused(self, monthly: Story, at: Any) -> None:
        found = manage(monthly, "cancel", {"at": at})

        assert (found.status, found.json["field"]) == (422, "at")


class TestResuming:
    def test_takes_a_cancellation_back(self, monthly: Story) -> None:
        manage(monthly, "cancel")

        found = manage(monthly, "resume")

        assert (found.status, found.json["cancel_at"]) == (200, None)
        assert found.json["renews_at"] == monthly.period_end()
        assert monthly.access == {"monthly": monthly.period_end() + GRACE}

    def test_twice_is_the_same(self, monthly: Story) -> None:
        manage(monthly, "cancel")

        first, again = manage(monthly, "resume"), manage(monthly, "resume")

        assert (again.status, again.json) == (200, first.json)

    def test_takes_back_an_end_at_a_date(self, monthly: Story) -> None:
        monthly.post(f"subscriptions/{monthly.plan()['id']}", cancel_at=monthly.world.now() + 3 * DAY)
        monthly.hear()

        assert manage(monthly, "resume").json["cancel_at"] is None
        assert monthly.plan()["cancel_at"] is None

    def test_goes_on_after_the_period(self, monthly: Story) -> None:
        manage(monthly, "cancel")
        manage(monthly, "resume")
        monthly.world.pass_time(25 * DAY)
        monthly.hear()

        assert monthly.access == {"monthly": monthly.period_end() + GRACE}

    def test_and_cancelling_again_ends_it(self, monthly: Story) -> None:
        for what in ("cancel", "resume", "cancel"):
            found = manage(monthly, what, key="the-same-key")

        assert found.json["cancel_at"] == monthly.plan()["cancel_at"] == monthly.period_end()


class TestAPaymentThatIsDue:
    def test_can_be_paid_at_the_mend_url(self, story: Story) -> None:
        began(story, "monthly", DECLINED_LATER)
        assert story.purchase["mend_url"] is None
        story.world.pass_time(22 * DAY)
        story.hear()

        assert story.purchase["status"] == "past_due"
        page = story.world.http.get(str(story.purchase["mend_url"]))
        assert page.status_code == 200

        story.trigger(f"invoices/{invoices(story)[0]['id']}/pay")
        story.hear()
        assert (story.purchase["status"], story.purchase["mend_url"]) == ("active", None)

    def test_has_no_mend_url_once_it_has_ended(self, story: Story) -> None:
        began(story, "monthly", DECLINED_LATER)
        story.world.pass_time(22 * DAY)
        story.hear()
        story.cancel()
        story.hear()

        assert story.purchase["mend_url"] is None


class TestThePortal:
    def opened(self, who: str, body: Any = None) -> Answer:
        return request("POST /billing-portal", customer=who, body={} if body is None else body)

    def test_is_the_customers_own(self, monthly: Story) -> None:
        found = self.opened(monthly.buyer)

        assert found.status == 200, found.text
        assert monthly.world.http.get(found.json["url"]).status_code == 200
        assert list(found.json) == ["url"]

    def test_leads_back_to_the_shop(self, monthly: Story) -> None:
        found = self.opened(monthly.buyer, {"return_url": "http://127.0.0.1:8787/account?mended=1"})

        assert "http://127.0.0.1:8787/account?mended=1" in monthly.world.http.get(found.json["url"]).text

    @pytest.mark.parametrize(
        "url", ["https://evil.example/", "http://127.0.0.1:8787.evil.example/", "javascript:alert(1)", "//evil.example"]
    )
    def test_leads_nowhere_else(self, monthly: Story, wire: Wire, url: str) -> None:
        found = self.opened(monthly.buyer, {"return_url": url})

        assert (found.status, found.json["field"]) == (422, "return_url")
        assert wire.asked == []

    def test_needs_a_customer_who_bought_something(self, world: World) -> None:
        assert refused(self.opened(world.customer()), 409, "nothing-to-manage")

    def test_takes_no_field_that_is_none_of_its(self, monthly: Story) -> None:
        assert self.opened(monthly.buyer, {"customer": "cus_other"}).status == 422


def test_nobody_manages_without_signing_in(world: World) -> None:
    for route in (*(f"purchases/x/{what}" for what in ("change", "cancel", "resume", "uses")), "billing-portal"):
        assert request(f"POST /{route}", body={}).status == 401
