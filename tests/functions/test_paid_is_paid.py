"""Paid is what was paid: a change that was not paid grants nothing, and never costs the month that was."""

from typing import Any

import pytest

from tests.functions.merchant import DAY, GRACE, PLAN, add_item, change, deliver, invoice, price
from tests.functions.story import CARD, DECLINED_LATER, Story

UPGRADE = {"proration_behavior": "always_invoice"}


def to_yearly(story: Story, **more: Any) -> None:
    """Move the buyer to the year, billed at once."""
    change(story, to=price(story, 49_000, every="year", lookup_key="yearly"), **(UPGRADE | more))


def purchase_status(story: Story) -> str:
    return str(story.purchase["status"])


@pytest.fixture
def month_end(story: Story) -> int:
    """When the month ends that was paid, of a buyer whose card declines from now on; two days of it are over."""
    story.buys("monthly", DECLINED_LATER)
    story.hear()
    end = story.period_end()
    story.world.pass_time(2 * DAY)
    return end


class TestAnUpgradeThatIsDeclined:
    def test_grants_what_was_paid_to_the_end_of_its_month(self, story: Story, month_end: int) -> None:
        to_yearly(story)
        story.hear()

        assert story.plan()["status"] == "past_due"
        assert story.access == {"monthly": month_end}

    def test_grants_it_after_eight_days_too_and_never_the_year(self, story: Story, month_end: int) -> None:
        to_yearly(story)
        seen = []
        for _ in range(8):
            story.hear()
            seen.append(story.access)
            story.world.pass_time(DAY)

        assert seen == [{"monthly": month_end}] * 8

    @pytest.mark.parametrize("alone", [f"{PLAN}.updated", "invoice.payment_failed"])
    def test_is_known_by_any_one_of_its_events(self, story: Story, month_end: int, alone: str) -> None:
        to_yearly(story)

        story.hear(alone)
        story.is_swept()

        assert story.access == {"monthly": month_end}
        assert purchase_status(story) == "past_due"

    def test_is_known_in_any_order_of_them(self, story: Story, month_end: int) -> None:
        to_yearly(story)

        deliver(story, *reversed(story.news()))

        assert story.access == {"monthly": month_end}

    def test_is_known_by_a_sync(self, story: Story, month_end: int) -> None:
        to_yearly(story)
        story.news()
        story.world.pass_time(10)

        story.world.sync(customer=story.buyer)

        assert story.access == {"monthly": month_end}

    def test_is_over_with_the_month(self, story: Story, month_end: int) -> None:
        to_yearly(story)
        story.hear()

        story.world.pass_time(month_end - story.world.now())

        assert story.access == {}

    def test_keeps_the_month_when_stripe_gives_up(self, story: Story, month_end: int) -> None:
        to_yearly(story)
        story.world.pass_time(20 * DAY)
        story.hear()

        assert story.plan()["status"] == "canceled"
        assert story.world.now() < month_end
        assert story.access == {"monthly": month_end}

    @pytest.mark.parametrize("alone", [f"{PLAN}.updated", "invoice.paid"])
    def test_is_granted_once_it_is_paid(self, story: Story, month_end: int, alone: str) -> None:
        to_yearly(story)
        story.hear()

        story.trigger(f"invoices/{story.plan()['latest_invoice']}/pay", card=CARD)
        story.hear(alone)
        story.is_swept()

        assert story.access == {"yearly": story.period_end() + GRACE}
        assert purchase_status(story) == "active"

    def test_whose_invoice_is_voided_grants_the_month_alone(self, story: Story, month_end: int) -> None:
        to_yearly(story)
        story.hear()

        story.post(f"invoices/{story.plan()['latest_invoice']}/void")
        story.hear()

        assert story.plan()["status"] == "active"
        assert story.access == {"monthly": month_end}

    def test_and_refused_by_stripe_leaves_everything(self, story: Story, month_end: int) -> None:
        url = f"{story.world.fakes.url}/stripe/v1/subscriptions/{story.plan()['id']}"
        yearly = price(story, 49_000, every="year", lookup_key="yearly")
        item = {"items[0][id]": story.plan()["items"]["data"][0]["id"], "items[0][price]": yearly}
        fields = item | UPGRADE | {"payment_behavior": "error_if_incomplete"}

        assert story.world.http.post(url, data=fields, auth=("sk_test_local", "")).status_code == 402
        story.hear()

        assert story.access == {"monthly": month_end + GRACE}
        assert purchase_status(story) == "active"


class TestAnUpgradeThatWaitsForItsPayment:
    @pytest.fixture
    def waits(self, story: Story, month_end: int) -> int:
        to_yearly(story, payment_behavior="pending_if_incomplete")
        assert story.plan()["pending_update"]
        return month_end

    @pytest.mark.parametrize("alone", [f"{PLAN}.updated", "invoice.payment_failed"])
    def test_leaves_the_month(self, story: Story, waits: int, alone: str) -> None:
        story.hear(alone)
        story.is_swept()

        assert purchase_status(story) == "active"
        assert story.access in ({"monthly": waits}, {"monthly": waits + GRACE})

    @pytest.mark.parametrize("alone", [f"{PLAN}.pending_update_applied", "invoice.paid", f"{PLAN}.updated"])
    def test_is_granted_once_it_is_paid(self, story: Story, waits: int, alone: str) -> None:
        story.hear()

        story.trigger(f"invoices/{story.plan()['latest_invoice']}/pay", card=CARD)
        story.hear(alone)
        story.is_swept()

        assert story.access == {"yearly": story.period_end() + GRACE}

    @pytest.mark.parametrize("alone", [f"{PLAN}.pending_update_expired", f"{PLAN}.updated", "invoice.voided"])
    def test_is_forgotten_when_it_expires_and_the_month_is_renewed(self, story: Story, waits: int, alone: str) -> None:
        story.hear()
        story.world.pass_time(DAY)

        story.hear(alone)
        story.is_swept()

        assert purchase_status(story) == "active"
        assert set(story.access) == {"monthly"}
        story.trigger("cards", customer=story.customer(), card=CARD)
        story.world.pass_time(waits + DAY - story.world.now())
        story.hear()
        assert story.access == {"monthly": story.period_end() + GRACE}

    def test_that_expired_leaves_the_grace_of_a_month_that_nobody_renewed(self, story: Story, waits: int) -> None:
        story.world.pass_time(waits + DAY - story.world.now())
        story.hear()

        assert story.plan()["status"] == "past_due"
        assert story.access == {"monthly": waits + GRACE}


class TestAChangeThatIsNotBilledAtOnce:
    def test_is_granted_at_once_and_charged_with_the_renewal(self, story: Story) -> None:
        story.buys("monthly")
        story.hear()
        story.world.pass_time(2 * DAY)

        change(story, to=price(story, 9_900, lookup_key="premium"))
        story.hear()

        assert story.access == {"premium": story.period_end() + GRACE}

    def test_whose_renewal_is_declined_has_the_grace_of_what_ran(self, story: Story, month_end: int) -> None:
        change(story, to=price(story, 9_900, lookup_key="premium"))
        story.hear()

        story.world.pass_time(month_end + DAY - story.world.now())
        story.hear()

        assert story.plan()["status"] == "past_due"
        assert list(story.access.values()) == [month_end + GRACE]

    def test_to_less_is_granted_at_once(self, story: Story) -> None:
        story.buys("yearly")
        story.hear()
        end = story.period_end()
        story.world.pass_time(2 * DAY)

        change(story, to=price(story, 10_000, every="year", lookup_key="basic"))
        story.hear()

        assert story.access == {"basic": end + GRACE}


class TestAFirstPaymentThatFails:
    def begin(self, story: Story, **more: Any) -> None:
        story.opens("day_pass")
        sold = price(story, 9_900, lookup_key="trainer")
        fields = {"items[0][price]": sold, "default_payment_method": "pm_card_chargeCustomerFail"}
        story.post("subscriptions", customer=story.customer(), **(fields | more))

    @pytest.mark.parametrize("alone", [f"{PLAN}.created", "invoice.payment_failed"])
    def test_has_no_grace(self, story: Story, alone: str) -> None:
        self.begin(story)

        story.hear(alone)
        story.is_swept()

        assert story.access == {}
        assert purchase_status(story) == "pending"

    def test_after_a_trial_has_none_either(self, story: Story) -> None:
        story.buys("try_monthly", DECLINED_LATER)
        story.hear()
        story.world.pass_time(story.plan()["trial_end"] + DAY - story.world.now())

        story.hear()

        assert story.plan()["status"] == "past_due"
        assert story.access == {}

    def test_is_granted_once_it_is_paid(self, story: Story) -> None:
        self.begin(story)
        story.hear()

        story.trigger(f"invoices/{story.plan()['latest_invoice']}/pay", card=CARD)
        story.hear()

        assert story.access == {"trainer": story.period_end() + GRACE}


class TestARenewalThatIsDeclined:
    def test_of_five_seats_keeps_five_for_the_grace(self, story: Story) -> None:
        story.buys("monthly", DECLINED_LATER, quantity=5)
        story.hear()
        end = story.period_end()
        story.world.pass_time(end + DAY - story.world.now())

        story.hear()

        assert story.access == {"monthly": end + GRACE}
        assert story.account["access"][0]["quantity"] == 5

    def test_and_upgraded_in_its_grace_does_not_begin_another_one(self, story: Story, month_end: int) -> None:
        story.world.pass_time(month_end + DAY - story.world.now())
        story.hear()

        to_yearly(story)
        story.hear()

        assert story.plan()["status"] == "past_due"
        assert set(story.access) <= {"monthly"}
        assert all(until is not None and until <= month_end + GRACE for until in story.access.values())

    def test_with_an_add_on_that_was_never_paid_keeps_the_plan(self, story: Story, month_end: int) -> None:
        add_item(story, price(story, 500, lookup_key="locker"))
        story.hear()
        story.world.pass_time(month_end + DAY - story.world.now())

        story.hear()

        assert story.access["monthly"] == month_end + GRACE

    def test_and_written_off_has_no_grace(self, story: Story, month_end: int) -> None:
        story.world.pass_time(month_end + DAY - story.world.now())
        story.hear()

        story.post(f"invoices/{invoice(story)['id']}/mark_uncollectible")
        story.hear()

        assert story.access == {}
