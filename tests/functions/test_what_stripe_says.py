"""What Stripe says of passes and subscriptions, through receive_webhook and process_webhook: every type that counts."""

import os
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from paidup.model.offer import Interval, Kind, Offer

from tests.functions.story import ASKS_ALWAYS, DECLINED_LATER, DISPUTED, REFUND_FAILS, Story
from tests.world import ORIGIN, World

PLAN = "customer.subscription"
DAY = 86_400
GRACE = 7 * DAY
ON_TRIAL = Offer(
    offer_id="try_monthly",
    name="Monthly, two weeks free",
    kind=Kind.SUBSCRIPTION,
    amount=4_900,
    currency="eur",
    interval=Interval.MONTH,
    trial_days=14,
)

FREE = Offer(offer_id="taster", name="A first class, on us", kind=Kind.PASS, amount=0, currency="eur")


@pytest.fixture
def world(town: World) -> World:
    town.shop.table.put_offer(ON_TRIAL)
    return town


@pytest.fixture
def story(world: World, buyer: str) -> Iterator[Story]:
    made = Story(world, buyer)
    yield made
    made.misfortune("settings", after_retries="cancel")
    made.cancel()  # so that nobody's renewals get into the next test, nor what nobody could settle
    boto3.client("sqs").purge_queue(QueueUrl=os.environ["PAIDUP_WEBHOOK_QUEUE_URL"])


class TestAPass:
    def test_is_there_once_it_is_paid(self, story: Story) -> None:
        story.buys("ten_class_pass")
        story.hear("checkout.session.completed")
        midnight = -(-(story.held["paid_at"] + 180 * DAY) // DAY) * DAY
        assert story.held["status"] == "active"
        assert story.access == {"ten_class_pass": midnight}
        assert story.version == 1

    def test_can_hold_for_good(self, story: Story) -> None:
        story.buys("day_pass")
        story.hear("checkout.session.completed")
        assert story.access == {"day_pass": None}

    def test_can_be_free(self, story: Story) -> None:
        story.world.shop.table.put_offer(FREE)
        story.buys("taster")
        story.hear("checkout.session.completed")
        assert story.held["status"] == "active"
        assert story.access == {"taster": None}

    def test_waits_for_a_delayed_payment_that_succeeds(self, story: Story) -> None:
        story.buys("day_pass", "delayed_success")
        story.hear("checkout.session.completed")
        assert story.held["status"] == "pending"
        assert story.access == {}
        assert story.account.get("checkout") is None
        story.world.pass_time(4)
        story.hear("checkout.session.async_payment_succeeded")
        assert story.held["status"] == "active"
        assert story.access == {"day_pass": None}
        assert story.version == 1

    def test_waits_for_a_delayed_payment_that_fails(self, story: Story) -> None:
        story.buys("day_pass", "delayed_failure")
        story.hear("checkout.session.completed")
        story.world.pass_time(4)
        story.hear("checkout.session.async_payment_failed")
        assert story.held["status"] == "failed"
        assert story.access == {}
        assert story.version == 0
        assert story.world.status(story.token["checkout_id"], customer=story.buyer)["state"] == "failed"

    def test_is_told_by_the_last_attempt_not_by_the_first(self, story: Story) -> None:
        story.opens("day_pass")
        story.pays("4000000000000002")
        story.hear()
        assert story.account["passes"] == []
        story.pays()
        story.hear()
        assert story.held["status"] == "active"

    def test_is_none_where_the_page_expired(self, story: Story) -> None:
        story.opens("day_pass")
        story.world.pass_time(DAY)
        story.hear("checkout.session.expired")
        assert story.account["passes"] == []
        assert story.world.status(story.token["checkout_id"], customer=story.buyer)["state"] == "expired"
        checkout = story.world.shop.table.checkout(story.buyer, story.token["checkout_id"])
        assert checkout
        assert checkout.status == "expired"
        assert checkout.due_at is None

    def test_survives_the_expiry_of_the_page_that_it_replaced(self, story: Story) -> None:
        story.opens("day_pass")
        old = story.token["token"]
        story.buys("ten_class_pass")
        story.post(f"checkout/sessions/{old}/expire")
        story.hear()
        assert list(story.access) == ["ten_class_pass"]


class TestARefund:
    @pytest.fixture
    def intent(self, story: Story) -> str:
        story.buys("ten_class_pass")
        story.hear()
        return str(story.session()["payment_intent"]["id"])

    def test_of_a_part_keeps_the_pass(self, story: Story, intent: str) -> None:
        story.post("refunds", payment_intent=intent, amount=5_000)
        story.hear("charge.refunded")
        assert story.held["status"] == "active"
        assert story.held["refunded"] == 5_000
        assert list(story.access) == ["ten_class_pass"]
        assert story.version == 1

    def test_of_all_takes_it_away(self, story: Story, intent: str) -> None:
        story.post("refunds", payment_intent=intent)
        story.hear("charge.refunded")
        assert story.held["status"] == "refunded"
        assert story.access == {}
        assert story.version == 2
        assert story.world.status(story.token["checkout_id"], customer=story.buyer)["state"] == "refunded"

    def test_of_all_in_parts_takes_it_away_in_whatever_order_they_are_told(self, story: Story, intent: str) -> None:
        for amount in (4_000, 3_000, 5_000):
            story.post("refunds", payment_intent=intent, amount=amount)
            story.world.pass_time(1)
        news = story.news("charge.refunded")
        assert [event["data"]["object"]["amount_refunded"] for event in news] == [4_000, 7_000, 12_000]
        for event in (news[2], news[0], news[1]):
            story.world.deliver(event)
        assert story.world.work_queue() == []
        assert story.held["status"] == "refunded"
        assert story.held["refunded"] == 12_000

    def test_that_fails_brings_it_back(self, story: Story) -> None:
        story.buys("ten_class_pass", REFUND_FAILS)
        story.hear()
        story.post("refunds", payment_intent=story.session()["payment_intent"]["id"])
        story.hear("charge.refunded")
        assert story.access == {}
        story.world.pass_time(6)
        story.hear("refund.failed")
        assert story.held["status"] == "active"
        assert story.held["refunded"] == 0
        assert list(story.access) == ["ten_class_pass"]
        assert story.version == 3


class TestADispute:
    @pytest.fixture
    def intent(self, story: Story) -> str:
        story.buys("ten_class_pass")
        story.hear()
        return str(story.session()["payment_intent"]["id"])

    def test_holds_the_pass_while_it_is_open(self, story: Story, intent: str) -> None:
        story.misfortune("disputes", payment_intent=intent)
        story.hear("charge.dispute.created")
        assert story.held["status"] == "disputed"
        assert story.access == {}
        assert story.version == 2

    def test_can_come_by_itself(self, story: Story) -> None:
        story.buys("ten_class_pass", DISPUTED)
        story.hear()
        story.world.pass_time(4)
        assert "charge.dispute.created" in story.hear()
        assert story.access == {}

    def test_that_is_won_gives_it_back(self, story: Story, intent: str) -> None:
        dispute = story.misfortune("disputes", payment_intent=intent)
        story.hear()
        story.misfortune(f"disputes/{dispute['id']}/close", status="won")
        story.hear("charge.dispute.closed")
        assert story.held["status"] == "active"
        assert list(story.access) == ["ten_class_pass"]
        assert story.version == 3

    def test_that_is_lost_ends_it(self, story: Story, intent: str) -> None:
        dispute = story.misfortune("disputes", payment_intent=intent)
        story.hear()
        story.misfortune(f"disputes/{dispute['id']}/close", status="lost")
        story.hear("charge.dispute.closed")
        assert story.held["status"] == "charged_back"
        assert story.access == {}
        assert story.version == 2

    def test_that_only_asks_changes_nothing(self, story: Story, intent: str) -> None:
        inquiry = story.misfortune("disputes", payment_intent=intent, inquiry=True)
        story.hear("charge.dispute.created")
        assert story.held["status"] == "active"
        story.misfortune(f"disputes/{inquiry['id']}/close", status="warning_closed")
        story.hear("charge.dispute.closed")
        assert story.held["status"] == "active"
        assert story.version == 1


class TestASubscription:
    @pytest.mark.parametrize("alone", ["checkout.session.completed", "customer.subscription.created", "invoice.paid"])
    def test_begins_with_any_one_of_its_events(self, story: Story, alone: str) -> None:
        """All others are lost for good."""
        story.buys("monthly")
        story.hear(alone)
        assert story.held["status"] == "active"
        assert story.held["amount"] == 4_900
        assert story.held["provider_ref"] == f"stripe#{story.plan()['id']}"
        assert story.held["renews_at"] == story.period_end()
        assert story.access == {"monthly": story.period_end() + GRACE}
        assert story.version == 1

    def test_is_one_pass_whatever_is_said_of_it(self, story: Story) -> None:
        story.buys("yearly")
        types = story.hear()
        assert {"checkout.session.completed", "customer.subscription.created", "invoice.paid"} <= set(types)
        assert story.held["pass_id"] == story.token["checkout_id"]
        assert story.access == {"yearly": story.period_end() + GRACE}
        assert story.version == 1

    @pytest.mark.parametrize("alone", ["customer.subscription.updated", "invoice.paid"])
    def test_goes_on_when_it_is_renewed(self, story: Story, alone: str) -> None:
        story.buys("monthly")
        story.hear()
        first = story.period_end()
        story.world.pass_time(32 * DAY)
        assert story.period_end() > first
        assert story.access == {"monthly": first + GRACE}
        story.hear(alone)
        assert story.access == {"monthly": story.period_end() + GRACE}
        assert story.version == 2

    def test_that_waits_for_a_delayed_payment_begins_when_it_is_there(self, story: Story) -> None:
        story.buys("monthly", "delayed_success")
        story.hear("checkout.session.completed")
        assert story.held["status"] == "pending"
        assert story.access == {}
        story.world.pass_time(4)
        story.hear("checkout.session.async_payment_succeeded")
        assert story.held["status"] == "active"
        assert story.access == {"monthly": story.period_end() + GRACE}

    def test_that_is_to_end_with_its_period_says_so(self, story: Story) -> None:
        story.buys("monthly")
        story.hear()
        end = story.period_end()
        story.post(f"subscriptions/{story.plan()['id']}", cancel_at_period_end="true")
        story.hear("customer.subscription.updated")
        assert story.held["status"] == "active"
        assert (story.held["cancel_at"], story.held["renews_at"]) == (end, None)
        assert story.access == {"monthly": end}

    def test_that_was_to_end_can_go_on(self, story: Story) -> None:
        story.buys("monthly")
        story.hear()
        story.post(f"subscriptions/{story.plan()['id']}", cancel_at_period_end="true")
        story.world.pass_time(1)
        story.post(f"subscriptions/{story.plan()['id']}", cancel_at_period_end="false")
        story.hear()
        assert (story.held["cancel_at"], story.held["renews_at"]) == (None, story.period_end())
        assert story.access == {"monthly": story.period_end() + GRACE}

    def test_ends_with_its_period(self, story: Story) -> None:
        story.buys("monthly")
        story.post(f"subscriptions/{story.plan()['id']}", cancel_at_period_end="true")
        story.hear()
        story.world.pass_time(32 * DAY)
        assert story.access == {}
        story.hear("customer.subscription.deleted")
        assert story.held["status"] == "canceled"
        assert story.access == {}

    def test_ends_at_once_when_it_is_cancelled(self, story: Story) -> None:
        story.buys("monthly")
        story.hear()
        story.cancel()
        story.hear("customer.subscription.deleted")
        assert story.held["status"] == "canceled"
        assert story.access == {}
        assert story.version == 2

    @pytest.mark.parametrize("named", [{"lookup_key": "yearly"}, {"metadata[offer_id]": "yearly"}])
    def test_can_change_its_plan(self, story: Story, named: dict[str, str]) -> None:
        story.buys("monthly")
        story.hear()
        product = story.post("products", name="Yearly")["id"]
        recurring = {"recurring[interval]": "year", "unit_amount": 49_000, "currency": "eur"}
        price = story.post("prices", product=product, **recurring, **named)["id"]
        plan = story.plan()
        change = {"items[0][id]": plan["items"]["data"][0]["id"], "items[0][price]": price}
        story.world.pass_time(1)
        story.post(f"subscriptions/{plan['id']}", **change)
        story.hear("customer.subscription.updated")
        assert story.held["offer_id"] == "yearly"
        assert story.held["amount"] == 49_000
        assert story.held["pass_id"] == story.token["checkout_id"]
        assert story.access == {"yearly": story.period_end() + GRACE}
        assert story.period_end() > story.world.now() + 360 * DAY

    def test_can_be_paused_and_resumed(self, story: Story) -> None:
        story.buys("monthly")
        story.hear()
        story.post(f"subscriptions/{story.plan()['id']}/pause")
        story.hear("customer.subscription.paused")
        assert story.held["status"] == "paused"
        assert story.access == {}
        story.world.pass_time(5)
        story.post(f"subscriptions/{story.plan()['id']}/resume")
        story.hear("customer.subscription.resumed")
        assert story.held["status"] == "active"
        assert story.access == {"monthly": story.period_end() + GRACE}


class TestATrial:
    def test_is_access_without_payment(self, story: Story) -> None:
        story.buys("try_monthly")
        story.hear("checkout.session.completed")
        assert story.held["status"] == "trialing"
        end = story.plan()["trial_end"]
        assert end == pytest.approx(story.world.now() + 14 * DAY, abs=60)
        assert story.access == {"try_monthly": end + GRACE}
        assert story.account["access"][0]["status"] == "trialing"

    def test_about_to_end_is_no_change(self, story: Story) -> None:
        story.buys("try_monthly")
        story.hear()
        story.world.pass_time(12 * DAY)
        story.hear("customer.subscription.trial_will_end")
        assert story.held["status"] == "trialing"
        assert story.version == 1

    def test_becomes_a_subscription(self, story: Story) -> None:
        story.buys("try_monthly")
        story.hear()
        story.world.pass_time(15 * DAY)
        story.hear()
        assert story.held["status"] == "active"
        assert story.access == {"try_monthly": story.period_end() + GRACE}

    def test_that_is_cancelled_ends_with_itself(self, story: Story) -> None:
        story.buys("try_monthly")
        story.post(f"subscriptions/{story.plan()['id']}", cancel_at_period_end="true")
        story.hear()
        assert story.access == {"try_monthly": story.plan()["trial_end"]}
        story.world.pass_time(15 * DAY)
        story.hear("customer.subscription.deleted")
        assert story.access == {}


class TestAnUnpaidRenewal:
    @pytest.fixture
    def due(self, story: Story) -> int:
        """When the period began that was not paid."""
        story.buys("monthly", DECLINED_LATER)
        story.hear()
        due = story.period_end()
        story.world.pass_time(due + DAY - story.world.now())
        return due

    @pytest.mark.parametrize("alone", ["invoice.payment_failed", "customer.subscription.updated"])
    def test_leaves_access_for_a_grace(self, story: Story, due: int, alone: str) -> None:
        story.hear(alone)
        assert story.held["status"] == "past_due"
        assert story.access == {"monthly": due + GRACE}
        assert story.account["access"][0]["status"] == "past_due"

    def test_can_wait_for_the_buyers_bank(self, story: Story) -> None:
        story.opens("monthly")
        url = f"{story.token['url']}/authenticate"
        story.pays(ASKS_ALWAYS)
        story.world.http.post(url, data={"authentication": "complete"})
        story.hear()
        assert story.held["status"] == "active"
        due = story.period_end()
        story.world.pass_time(due + DAY - story.world.now())
        story.hear("invoice.payment_action_required")
        assert story.held["status"] == "past_due"
        assert story.access == {"monthly": due + GRACE}

    @pytest.mark.parametrize("alone", ["invoice.paid", "customer.subscription.updated"])
    def test_is_made_good_by_another_card(self, story: Story, due: int, alone: str) -> None:
        story.hear()
        story.misfortune("cards", customer=story.customer(), card="4242424242424242")
        story.post(f"invoices/{story.plan()['latest_invoice']}/pay")
        story.hear(alone)
        assert story.held["status"] == "active"
        assert story.access == {"monthly": story.period_end() + GRACE}
        assert story.period_end() > due

    def test_costs_access_when_the_grace_is_over(self, story: Story, due: int) -> None:
        story.hear()
        story.world.pass_time(due + GRACE - story.world.now())
        assert story.access == {}
        assert story.held["status"] == "unpaid"

    def test_is_made_good_after_the_grace_too(self, story: Story, due: int) -> None:
        story.hear()
        story.world.pass_time(due + GRACE + 60 - story.world.now())
        story.misfortune("cards", customer=story.customer(), card="4242424242424242")
        story.post(f"invoices/{story.plan()['latest_invoice']}/pay")
        story.hear()
        assert story.held["status"] == "active"
        assert story.access == {"monthly": story.period_end() + GRACE}

    def test_ends_the_subscription_when_stripe_gives_up(self, story: Story, due: int) -> None:
        story.hear()
        story.world.pass_time(20 * DAY)
        story.hear("customer.subscription.deleted")
        assert story.held["status"] == "canceled"
        assert story.access == {}

    def test_can_leave_it_unpaid_when_stripe_gives_up(self, story: Story, due: int) -> None:
        story.misfortune("settings", after_retries="unpaid")
        story.hear()
        story.world.pass_time(20 * DAY)
        story.hear("customer.subscription.updated")
        assert story.held["status"] == "unpaid"
        assert story.access == {}
        assert story.world.status(story.token["checkout_id"], customer=story.buyer)["state"] == "failed"


class TestMoneyBackForASubscription:
    def charge(self, story: Story, invoice: str) -> str:
        asked: Any = {"invoice": invoice}
        payment = story.world.stripe.v1.invoice_payments.list(asked).data[0].to_dict()
        return str(payment["payment"]["payment_intent"])

    def test_for_its_running_period_ends_access(self, story: Story) -> None:
        story.buys("monthly")
        story.hear()
        story.post("refunds", payment_intent=self.charge(story, story.plan()["latest_invoice"]))
        story.hear("charge.refunded")
        assert story.held["status"] == "refunded"
        assert story.held["refunded"] == 4_900
        assert story.access == {}

    def test_for_an_earlier_period_does_not(self, story: Story) -> None:
        story.buys("monthly")
        first = story.plan()["latest_invoice"]
        story.hear()
        story.world.pass_time(32 * DAY)
        story.hear()
        story.post("refunds", payment_intent=self.charge(story, first))
        story.hear("charge.refunded")
        assert story.held["status"] == "active"
        assert story.access == {"monthly": story.period_end() + GRACE}

    def test_by_a_dispute_holds_access(self, story: Story) -> None:
        story.buys("monthly")
        story.hear()
        dispute = story.misfortune("disputes", payment_intent=self.charge(story, story.plan()["latest_invoice"]))
        story.hear("charge.dispute.created")
        assert story.held["status"] == "disputed"
        assert story.access == {}
        story.misfortune(f"disputes/{dispute['id']}/close", status="lost")
        story.hear("charge.dispute.closed")
        assert story.held["status"] == "charged_back"


class TestASubscriptionMadeInTheDashboard:
    def make(self, story: Story, customer: str, **more: Any) -> str:
        product = story.post("products", name="Trainer")["id"]
        recurring = {"recurring[interval]": "month", "unit_amount": 9_900, "currency": "eur"}
        price = story.post("prices", product=product, lookup_key="trainer", **recurring)["id"]
        fields = {"customer": customer, "items[0][price]": price, "default_payment_method": "pm_card_visa"}
        return str(story.post("subscriptions", **(fields | more))["id"])

    @pytest.mark.parametrize(
        "alone", ["customer.subscription.created", "customer.subscription.updated", "invoice.paid"]
    )
    def test_counts_for_a_customer_who_has_bought_before(self, story: Story, alone: str) -> None:
        story.opens("day_pass")
        plan = self.make(story, story.customer())
        story.hear(alone)
        held = story.held
        assert held["pass_id"] == plan
        assert held["offer_id"] == "trainer"
        assert (held["amount"], held["currency"], held["kind"]) == (9_900, "eur", "subscription")

    def test_gives_access_once_it_is_paid(self, story: Story) -> None:
        story.opens("day_pass")
        self.make(story, story.customer())
        story.hear()
        assert story.held["status"] == "active"
        assert story.access == {"trainer": story.period_end() + GRACE}

    def test_waits_for_its_first_payment_and_fails_without_it(self, story: Story) -> None:
        story.opens("day_pass")
        self.make(story, story.customer(), default_payment_method="pm_card_chargeCustomerFail")
        story.hear()
        assert story.held["status"] == "pending"
        assert story.access == {}
        story.world.pass_time(DAY)
        story.hear("customer.subscription.updated")
        assert story.held["status"] == "failed"

    def test_counts_for_a_customer_whom_stripe_alone_knows_as_ours(self, story: Story) -> None:
        fields = {"metadata[customer_id]": story.buyer, "email": "ada@example.com"}
        self.make(story, str(story.post("customers", **fields)["id"]))
        story.hear("customer.subscription.created")
        assert story.held["offer_id"] == "trainer"

    def test_for_nobody_we_know_is_tried_again_and_shown_to_somebody(self, story: Story) -> None:
        stranger = str(story.post("customers", email="eve@example.com")["id"])
        self.make(story, stranger)
        (created,) = story.news("customer.subscription.created")
        assert story.world.deliver(created).json == {"received": "queued"}
        assert len(story.world.work_queue()) == 1
        rows = {row.event_id: row for row in story.world.shop.table.attention()}
        row = rows[created["id"]]
        assert row.status == "failed"
        assert row.error
        assert row.error.startswith("NotYetKnown")
        assert stranger in row.error

    def test_for_somebody_we_know_later_is_settled_then(self, story: Story) -> None:
        stranger = str(story.post("customers", email="eve@example.com")["id"])
        self.make(story, stranger)
        (created,) = story.news("customer.subscription.created")
        story.world.deliver(created)
        assert len(story.world.work_queue()) == 1
        story.post(f"customers/{stranger}", **{"metadata[customer_id]": story.buyer})
        story.world.deliver(created)
        assert story.world.work_queue() == []
        assert story.held["offer_id"] == "trainer"
        assert created["id"] not in {row.event_id for row in story.world.shop.table.attention()}


class TestAThinEvent:
    """Type and object alone: what became of the object is fetched."""

    def tell(self, story: Story, type_: str, object_id: str) -> None:
        thin = {
            "id": f"evt_{type_}_{object_id}",
            "object": "v2.core.event",
            "type": f"v1.{type_}",
            "created": "2026-11-21T09:00:00.000Z",
            "related_object": {"id": object_id, "type": "any", "url": "/v1/any"},
        }
        assert story.world.deliver(thin).status == 200
        assert story.world.work_queue() == []

    @pytest.mark.parametrize("type_", [f"{PLAN}.created", f"{PLAN}.updated"])
    def test_can_tell_of_a_subscription(self, story: Story, type_: str) -> None:
        story.buys("monthly")
        self.tell(story, type_, story.plan()["id"])
        assert story.access == {"monthly": story.period_end() + GRACE}

    def test_can_tell_of_its_invoice(self, story: Story) -> None:
        story.buys("monthly")
        self.tell(story, "invoice.paid", story.plan()["latest_invoice"])
        assert story.access == {"monthly": story.period_end() + GRACE}

    def test_can_tell_of_its_end(self, story: Story) -> None:
        story.buys("monthly")
        story.hear()
        plan = story.plan()["id"]
        story.cancel()
        self.tell(story, f"{PLAN}.deleted", plan)
        assert story.held["status"] == "canceled"

    def test_can_tell_of_a_refund(self, story: Story) -> None:
        story.buys("day_pass", REFUND_FAILS)
        story.hear()
        story.world.pass_time(2)
        intent = story.session()["payment_intent"]
        refund = story.post("refunds", payment_intent=intent["id"])["id"]
        self.tell(story, "charge.refunded", intent["latest_charge"])
        assert story.held["status"] == "refunded"
        story.world.pass_time(6)
        self.tell(story, "refund.failed", refund)
        assert story.held["status"] == "active"

    def test_can_tell_of_a_dispute(self, story: Story) -> None:
        story.buys("day_pass")
        story.hear()
        dispute = story.misfortune("disputes", payment_intent=story.session()["payment_intent"]["id"])["id"]
        self.tell(story, "charge.dispute.created", dispute)
        assert story.held["status"] == "disputed"
        story.world.pass_time(2)
        story.misfortune(f"disputes/{dispute}/close", status="won")
        self.tell(story, "charge.dispute.closed", dispute)
        assert story.held["status"] == "active"

    def test_can_tell_of_a_page(self, story: Story) -> None:
        story.buys("day_pass", "delayed_failure")
        story.world.pass_time(4)
        self.tell(story, "checkout.session.async_payment_failed", story.token["token"])
        assert story.held["status"] == "failed"
        story.opens("monthly")
        story.post(f"checkout/sessions/{story.token['token']}/expire")
        self.tell(story, "checkout.session.expired", story.token["token"])
        assert story.world.status(story.token["checkout_id"], customer=story.buyer)["state"] == "expired"


class TestWhatIsNotOurs:
    """Other things are sold through the same Stripe account."""

    def ignored(self, story: Story, type_: str, thing: dict[str, Any]) -> None:
        event_id, said = f"evt_{story.buyer}", {"object": "event", "created": story.world.now()}
        event = {"id": event_id, "type": type_, "data": {"object": thing}}
        assert story.world.deliver(said | event).status == 200
        assert story.world.work_queue() == []
        row = story.world.shop.table.event("stripe", event_id)
        assert row
        assert row.status == "ignored"

    def test_is_a_session_without_our_metadata(self, story: Story) -> None:
        page = {"id": "cs_1", "object": "checkout.session", "metadata": {"order": "7"}, "status": "complete"}
        self.ignored(story, "checkout.session.completed", page | {"payment_status": "paid"})

    @pytest.mark.parametrize("parent", [None, {"type": "quote_details", "subscription_details": None}])
    def test_is_an_invoice_of_no_subscription(self, story: Story, parent: Any) -> None:
        self.ignored(story, "invoice.paid", {"id": "in_1", "object": "invoice", "parent": parent})

    def test_is_a_charge_of_nothing_that_we_sold(self, story: Story) -> None:
        money = {"amount": 1, "amount_refunded": 1, "currency": "eur"}
        charge = {"id": "ch_1", "object": "charge", "metadata": {}, "payment_intent": None}
        self.ignored(story, "charge.refunded", charge | money)

    def test_is_a_charge_by_another_page(self, story: Story) -> None:
        customer = story.post("customers", email="eve@example.com")["id"]
        price = {"currency": "eur", "unit_amount": "100", "product_data][name": "Something else"}
        fields = {f"line_items[0][price_data][{name}]": value for name, value in price.items()}
        more = {"mode": "payment", "customer": customer, "success_url": ORIGIN, "line_items[0][quantity]": "1"}
        page = story.post("checkout/sessions", **(fields | more))
        story.world.pay(page["url"])
        story.post("refunds", payment_intent=self.intent(story, page["id"]))
        assert len(story.hear("checkout.session.completed", "charge.refunded")) == 2
        assert story.account["passes"] == []

    def intent(self, story: Story, page: str) -> str:
        return str(story.world.stripe.v1.checkout.sessions.retrieve(page).payment_intent)
