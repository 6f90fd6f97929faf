"""What Stripe says of subscriptions, from trial to dunning: every type of event that counts, each of them alone."""

import os
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from paidup.flows.support import Decision, review
from paidup.model.offer import Interval, Kind, Offer

from tests.functions.door import look
from tests.functions.merchant import DAY, GRACE, PLAN, paid_with
from tests.functions.story import ASKS_ALWAYS, DECLINED_LATER, Story

TRAINER = Offer(
    offer_id="trainer",
    name="Trainer",
    kind=Kind.SUBSCRIPTION,
    amount=9_900,
    currency="eur",
    interval=Interval.MONTH,
)
INVOICE_IS_DRAFT = 3_600


@pytest.fixture(autouse=True)
def usual_settings(story: Story) -> Iterator[None]:
    """What a test chose at Stripe, and what it left in the queue, does not get into the next one."""
    yield
    story.trigger("settings", after_retries="cancel", delayed_subscriptions="active", delayed_after_s=3)
    boto3.client("sqs").purge_queue(QueueUrl=os.environ["PAIDUP_WEBHOOK_QUEUE_URL"])


class TestASubscription:
    @pytest.mark.parametrize("alone", ["checkout.session.completed", "customer.subscription.created", "invoice.paid"])
    def test_begins_with_any_one_of_its_events(self, story: Story, alone: str) -> None:
        """All others are lost for good. What they would have said is asked for within a minute."""
        story.buys("monthly")
        story.hear(alone)
        story.is_swept()
        assert story.purchase["status"] == "active"
        assert story.purchase["amount"] == 4_900
        assert story.purchase["provider_ref"] == f"stripe#{story.plan()['id']}"
        assert story.purchase["renews_at"] == story.period_end()
        assert story.access == {"monthly": story.period_end() + GRACE}

    def test_is_one_pass_whatever_is_said_of_it(self, story: Story) -> None:
        story.buys("yearly")
        types = story.hear()
        assert {"checkout.session.completed", "customer.subscription.created", "invoice.paid"} <= set(types)
        assert story.purchase["purchase_id"] == story.token["checkout_id"]
        assert story.access == {"yearly": story.period_end() + GRACE}
        assert story.version == 2, "it begins with its page, and has its right end with its subscription"

    @pytest.mark.parametrize("alone", ["customer.subscription.updated", "invoice.paid"])
    def test_goes_on_when_it_is_renewed(self, story: Story, alone: str) -> None:
        story.buys("monthly")
        story.hear()
        first = story.period_end()
        story.world.pass_time(32 * DAY)
        assert story.period_end() > first
        assert story.access == {"monthly": first + GRACE}
        story.hear(alone)
        story.is_swept()
        assert story.access == {"monthly": story.period_end() + GRACE}

    def test_that_waits_for_a_delayed_payment_begins_when_it_is_there(self, story: Story) -> None:
        story.trigger("settings", delayed_subscriptions="incomplete", delayed_after_s=DAY)
        story.buys("monthly", "delayed_success")
        story.hear("checkout.session.completed")
        assert story.purchase["status"] == "pending"
        assert story.access == {}
        story.world.pass_time(DAY)
        story.hear("checkout.session.async_payment_succeeded")
        assert story.purchase["status"] == "active"
        story.is_swept()
        assert story.access == {"monthly": story.period_end() + GRACE}

    def test_that_is_to_end_with_its_period_says_so(self, story: Story) -> None:
        story.buys("monthly")
        story.hear()
        end = story.period_end()
        story.post(f"subscriptions/{story.plan()['id']}", cancel_at_period_end="true")
        story.hear("customer.subscription.updated")
        assert story.purchase["status"] == "active"
        assert (story.purchase["cancel_at"], story.purchase["renews_at"]) == (end, None)
        assert story.access == {"monthly": end}

    def test_that_was_to_end_can_go_on(self, story: Story) -> None:
        story.buys("monthly")
        story.hear()
        story.post(f"subscriptions/{story.plan()['id']}", cancel_at_period_end="true")
        story.world.pass_time(1)
        story.post(f"subscriptions/{story.plan()['id']}", cancel_at_period_end="false")
        story.hear()
        assert (story.purchase["cancel_at"], story.purchase["renews_at"]) == (None, story.period_end())
        assert story.access == {"monthly": story.period_end() + GRACE}

    def test_ends_with_its_period(self, story: Story) -> None:
        story.buys("monthly")
        story.post(f"subscriptions/{story.plan()['id']}", cancel_at_period_end="true")
        story.hear()
        story.world.pass_time(32 * DAY)
        assert story.access == {}
        story.hear("customer.subscription.deleted")
        assert story.purchase["status"] == "canceled"
        assert story.access == {}

    def test_ends_at_once_when_it_is_cancelled(self, story: Story) -> None:
        story.buys("monthly")
        story.hear()
        story.cancel()
        story.hear("customer.subscription.deleted")
        assert story.purchase["status"] == "canceled"
        assert story.access == {}
        assert story.version == 3

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
        assert story.access == {"monthly": plan["items"]["data"][0]["current_period_end"]}, (
            "not paid, as far as we know"
        )
        story.is_swept()
        assert story.purchase["offer_id"] == "yearly"
        assert story.purchase["amount"] == 49_000
        assert story.purchase["purchase_id"] == story.token["checkout_id"]
        assert story.access == {"yearly": story.period_end() + GRACE}
        assert story.period_end() > story.world.now() + 360 * DAY

    def test_can_be_paused_and_resumed(self, story: Story) -> None:
        story.buys("monthly")
        story.hear()
        story.post(f"subscriptions/{story.plan()['id']}/pause")
        story.hear("customer.subscription.paused")
        assert story.purchase["status"] == "paused"
        assert story.access == {}
        story.world.pass_time(5)
        story.post(f"subscriptions/{story.plan()['id']}/resume")
        story.hear("customer.subscription.resumed")
        story.is_swept()
        assert story.purchase["status"] == "active"
        assert story.access == {"monthly": story.period_end() + GRACE}


class TestATrial:
    def test_is_access_without_payment(self, story: Story) -> None:
        story.buys("try_monthly")
        story.hear("checkout.session.completed")
        assert story.access, "at once"
        story.is_swept()
        assert story.purchase["status"] == "trialing"
        end = story.plan()["trial_end"]
        assert end == pytest.approx(story.world.now() + 14 * DAY, abs=120)
        assert story.access == {"try_monthly": end + GRACE}
        assert story.account["access"][0]["status"] == "trialing"

    def test_about_to_end_is_no_change(self, story: Story) -> None:
        story.buys("try_monthly")
        story.hear()
        story.world.pass_time(12 * DAY)
        story.hear("customer.subscription.trial_will_end")
        assert story.purchase["status"] == "trialing"
        assert story.version == 2

    def test_becomes_a_subscription(self, story: Story) -> None:
        story.buys("try_monthly")
        story.hear()
        story.world.pass_time(15 * DAY)
        story.hear()
        assert story.purchase["status"] == "active"
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
        story.is_swept()
        assert story.purchase["status"] == "past_due"
        assert story.access == {"monthly": due + GRACE}
        assert story.account["access"][0]["status"] == "past_due"

    def test_can_wait_for_the_buyers_bank(self, story: Story) -> None:
        story.opens("monthly")
        url = f"{story.token['url']}/authenticate"
        story.pays(ASKS_ALWAYS)
        story.world.http.post(url, data={"authentication": "complete"})
        story.hear()
        assert story.purchase["status"] == "active"
        due = story.period_end()
        story.world.pass_time(due + DAY - story.world.now())
        story.hear("invoice.payment_action_required")
        story.is_swept()
        assert story.purchase["status"] == "past_due"
        assert story.access == {"monthly": due + GRACE}

    @pytest.mark.parametrize("alone", ["invoice.paid", "customer.subscription.updated"])
    def test_is_made_good_by_another_card(self, story: Story, due: int, alone: str) -> None:
        story.hear()
        story.trigger("cards", customer=story.customer(), card="4242424242424242")
        story.post(f"invoices/{story.plan()['latest_invoice']}/pay")
        story.hear(alone)
        story.is_swept()
        assert story.purchase["status"] == "active"
        assert story.access == {"monthly": story.period_end() + GRACE}
        assert story.period_end() > due

    def test_costs_access_when_the_grace_is_over(self, story: Story, due: int) -> None:
        story.hear()
        story.world.pass_time(due + GRACE - story.world.now())
        assert story.access == {}
        assert story.purchase["status"] == "unpaid"

    def test_is_made_good_after_the_grace_too(self, story: Story, due: int) -> None:
        story.hear()
        story.world.pass_time(due + GRACE + 60 - story.world.now())
        story.trigger("cards", customer=story.customer(), card="4242424242424242")
        story.post(f"invoices/{story.plan()['latest_invoice']}/pay")
        story.hear()
        assert story.purchase["status"] == "active"
        assert story.access == {"monthly": story.period_end() + GRACE}

    def test_ends_the_subscription_when_stripe_gives_up(self, story: Story, due: int) -> None:
        story.hear()
        story.world.pass_time(20 * DAY)
        story.hear("customer.subscription.deleted")
        assert story.purchase["status"] == "canceled"
        assert story.access == {}

    def test_can_leave_it_unpaid_when_stripe_gives_up(self, story: Story, due: int) -> None:
        story.trigger("settings", after_retries="unpaid")
        story.hear()
        story.world.pass_time(20 * DAY)
        story.hear("customer.subscription.updated")
        assert story.purchase["status"] == "unpaid"
        assert story.access == {}
        assert story.world.status(story.token["checkout_id"], customer=story.buyer)["state"] == "failed"

    def test_that_stays_past_due_has_its_grace_once(self, story: Story) -> None:
        """Every month another invoice is not paid, and the shop lets the subscription be."""
        story.trigger("settings", after_retries="past_due")
        story.buys("monthly", DECLINED_LATER)
        story.hear()
        due = story.period_end()
        seen = []
        for _ in range(24):
            story.world.pass_time(4 * DAY)
            story.hear()
            seen.append((story.world.now() < due + GRACE, bool(story.access)))
        assert story.plan()["status"] == "past_due"
        assert all(access is in_time for in_time, access in seen)

    def test_in_the_second_of_its_renewal_counts(self, story: Story) -> None:
        """That it was renewed and that it is past due has one and the same second: Stripe is asked which it is."""
        story.buys("monthly", DECLINED_LATER)
        story.hear()
        story.world.pass_time(story.period_end() + INVOICE_IS_DRAFT - story.world.now())
        fresh = story.news(f"{PLAN}.updated", "invoice.payment_failed")
        renewed = min(event["created"] for event in fresh)
        for event in fresh:
            story.world.deliver(event | {"created": renewed})
        assert story.world.work_queue(100) == []
        assert story.plan()["status"] == story.purchase["status"] == "past_due"


class TestADelayedPayment:
    def test_that_failed_stays_so_whoever_looks_again(self, story: Story) -> None:
        """A page that is complete and not paid looks as if the bank were still at it."""
        story.trigger("settings", delayed_subscriptions="incomplete", delayed_after_s=DAY)
        story.buys("monthly", "delayed_failure")
        story.hear("checkout.session.completed")
        story.world.pass_time(2 * DAY)
        story.hear()
        story.world.pass_time(5)
        story.world.sync(customer=story.buyer)
        assert story.purchase["status"] == "failed"
        assert look(story.token["checkout_id"], customer=story.buyer)["next"] == "recover"


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
        assert story.purchase["status"] == "refunded"
        assert story.purchase["refunded"] == 4_900
        assert story.access == {}

    def test_for_an_earlier_period_does_not(self, story: Story) -> None:
        story.buys("monthly")
        first = story.plan()["latest_invoice"]
        story.hear()
        story.world.pass_time(32 * DAY)
        story.hear()
        story.post("refunds", payment_intent=self.charge(story, first))
        story.hear("charge.refunded")
        assert story.purchase["status"] == "active"
        assert story.access == {"monthly": story.period_end() + GRACE}

    def test_by_a_dispute_holds_access(self, story: Story) -> None:
        story.buys("monthly")
        story.hear()
        dispute = story.trigger("disputes", payment_intent=self.charge(story, story.plan()["latest_invoice"]))
        story.hear("charge.dispute.created")
        assert story.purchase["status"] == "disputed"
        assert story.access == {}
        story.trigger(f"disputes/{dispute['id']}/close", status="lost")
        story.hear("charge.dispute.closed")
        assert story.purchase["status"] == "charged_back"

    def test_stays_back_when_it_is_changed_within_the_period(self, story: Story) -> None:
        story.buys("monthly")
        story.hear()
        story.post("refunds", payment_intent=paid_with(story))
        story.hear()
        assert story.access == {}
        upgrade(story)
        assert story.purchase["status"] == "refunded"
        assert story.access == {}

    def test_for_a_change_alone_leaves_the_period(self, story: Story) -> None:
        story.buys("monthly")
        story.hear()
        upgrade(story)
        story.post("refunds", payment_intent=paid_with(story))
        story.hear()
        assert story.purchase["status"] == "active"

    def test_by_support_gives_back_the_change_too(self, story: Story) -> None:
        story.buys("monthly")
        story.hear()
        first = paid_with(story)
        upgrade(story)
        second = paid_with(story)
        decision = Decision(by="sam", reason="asked for it", now=story.world.now())
        review(story.buyer, story.token["checkout_id"], story.world.services, decision, grant=False)
        for intent in (first, second):
            charge = story.world.stripe.v1.payment_intents.retrieve(intent, {"expand": ["latest_charge"]}).latest_charge
            assert getattr(charge, "refunded", None) is True
        assert story.purchase["status"] == "refunded"
        assert story.plan()["status"] == "canceled"

    def test_by_a_dispute_of_an_earlier_period_takes_nothing_that_was_paid_since(self, story: Story) -> None:
        story.buys("monthly")
        story.hear()
        first = paid_with(story)
        story.world.pass_time(32 * DAY)
        story.hear()
        dispute = story.trigger("disputes", payment_intent=first)["id"]
        story.hear()
        assert story.purchase["status"] == "active"
        story.trigger(f"disputes/{dispute}/close", status="lost")
        story.hear()
        assert story.purchase["status"] == "active"

    def test_by_an_inquiry_that_becomes_a_dispute_holds_access(self, story: Story) -> None:
        story.buys("monthly")
        story.hear()
        story.trigger("disputes", payment_intent=paid_with(story), inquiry=True)
        (asked,) = story.news("charge.dispute.created")
        story.world.deliver(asked)
        assert story.world.work_queue() == []
        assert story.purchase["status"] == "active"
        escalated = {"object": asked["data"]["object"] | {"status": "needs_response"}}
        told = {"id": "evt_escalated", "type": "charge.dispute.updated", "created": asked["created"] + 1}
        story.world.deliver(asked | told | {"data": escalated})
        assert story.world.work_queue() == []
        assert story.purchase["status"] == "disputed"


def upgrade(story: Story) -> None:
    """Let the merchant double the quantity, billed at once, two days later."""
    story.world.pass_time(2 * DAY)
    plan = story.plan()
    item = {"items[0][id]": plan["items"]["data"][0]["id"], "items[0][quantity]": "2"}
    story.post(f"subscriptions/{plan['id']}", **item, proration_behavior="always_invoice")
    assert story.plan()["latest_invoice"] != plan["latest_invoice"]
    story.hear()


class TestASubscriptionMadeInTheDashboard:
    def make(self, story: Story, customer: str, key: str = "trainer", **more: Any) -> str:
        product = story.post("products", name="Trainer")["id"]
        recurring = {"recurring[interval]": "month", "unit_amount": 9_900, "currency": "eur"}
        named = {"lookup_key": key, "transfer_lookup_key": "true"}
        price = story.post("prices", product=product, **named, **recurring)["id"]
        fields = {"customer": customer, "items[0][price]": price, "default_payment_method": "pm_card_visa"}
        return str(story.post("subscriptions", **(fields | more))["id"])

    @pytest.mark.parametrize(
        "alone", ["customer.subscription.created", "customer.subscription.updated", "invoice.paid"]
    )
    def test_counts_for_a_customer_who_has_bought_before(self, story: Story, alone: str) -> None:
        story.opens("day_pass")
        plan = self.make(story, story.customer())
        story.hear(alone)
        story.is_swept()
        purchase = story.purchase
        assert purchase["purchase_id"] == plan
        assert purchase["offer_id"] == "trainer"
        assert (purchase["amount"], purchase["currency"], purchase["kind"]) == (9_900, "eur", "subscription")

    def test_gives_access_once_it_is_paid(self, story: Story) -> None:
        story.opens("day_pass")
        self.make(story, story.customer())
        story.hear()
        assert story.purchase["status"] == "active"
        assert story.access == {"trainer": story.period_end() + GRACE}

    def test_that_lost_our_metadata_there_is_still_the_pass_it_was(self, story: Story) -> None:
        """Somebody tidied up in the dashboard; an event, a sync and the sweep still know whose it is."""
        story.buys("monthly")
        story.hear()
        plan, bought = story.plan()["id"], story.token["checkout_id"]
        fields = ("customer_id", "checkout_id", "offer_id", "kind", "asked")
        story.post(f"subscriptions/{plan}", **{f"metadata[{field}]": "" for field in fields})
        assert "customer_id" not in story.plan()["metadata"]
        story.hear("customer.subscription.updated")
        assert story.world.sync(customer=story.buyer).json["problems"] == []
        assert (story.purchase["purchase_id"], story.purchase["offer_id"]) == (bought, "monthly")
        story.world.pass_time(story.period_end() + GRACE - story.world.now())
        story.world.sweep()
        assert story.access == {"monthly": story.period_end() + GRACE}

    def test_waits_for_its_first_payment_and_fails_without_it(self, story: Story) -> None:
        story.opens("day_pass")
        self.make(story, story.customer(), default_payment_method="pm_card_chargeCustomerFail")
        story.hear()
        assert story.purchase["status"] == "pending"
        assert story.access == {}
        story.world.pass_time(DAY)
        story.hear("customer.subscription.updated")
        assert story.purchase["status"] == "failed"

    def test_of_a_stripe_customer_whose_metadata_names_an_account_counts_for_it(self, story: Story) -> None:
        story.opens("day_pass")
        story.world.services.table.put_offer(TRAINER)
        fields = {"metadata[customer_id]": story.buyer, "email": "ada@example.com"}
        self.make(story, str(story.post("customers", **fields)["id"]))
        story.hear("customer.subscription.created")
        story.is_swept()
        assert list(story.access) == ["trainer"]

    def test_of_a_stripe_customer_whose_metadata_names_nobody_makes_no_account(self, story: Story) -> None:
        story.world.services.table.put_offer(TRAINER)
        fields = {"metadata[customer_id]": "nobody-here", "email": "ada@example.com"}
        self.make(story, str(story.post("customers", **fields)["id"]))
        (created,) = story.news("customer.subscription.created")
        story.world.deliver(created)
        assert len(story.world.work_queue()) == 1
        assert story.world.services.table.account("nobody-here").version == 0

    def test_for_nobody_we_know_is_tried_again_and_shown_to_somebody(self, story: Story) -> None:
        story.world.services.table.put_offer(TRAINER)
        stranger = str(story.post("customers", email="eve@example.com")["id"])
        self.make(story, stranger)
        (created,) = story.news("customer.subscription.created")
        assert story.world.deliver(created).json == {"received": "queued"}
        assert len(story.world.work_queue()) == 1
        rows = {row.event_id: row for row in story.world.services.table.failed_events()}
        row = rows[created["id"]]
        assert row.status == "failed"
        assert row.error
        assert row.error.startswith("NotYetKnown")
        assert stranger in row.error

    def test_that_sells_nothing_of_ours_to_nobody_we_know_is_ignored_once(self, story: Story) -> None:
        stranger = str(story.post("customers", email="eve@example.com")["id"])
        self.make(story, stranger, key="another_products_plan")
        for event in story.news():
            assert story.world.deliver(event).status == 200
        assert story.world.work_queue() == []
        assert story.account["purchases"] == []
        assert not [one for one in story.world.services.table.failed_events() if stranger in (one.error or "")]
