"""Delayed methods as Stripe has them: the subscription is there, and the money comes days later, or bounces."""

from collections.abc import Iterator

import pytest

from tests.functions.door import look
from tests.functions.merchant import DAY, GRACE, PLAN, cases
from tests.functions.story import CARD, Story
from tests.functions.wire import Wire

TAKES = 3 * DAY


@pytest.fixture(params=["active", "incomplete"], autouse=True)
def begun_as(story: Story, request: pytest.FixtureRequest) -> Iterator[str]:
    """What a subscription is meanwhile: that depends on the merchant's account."""
    story.trigger("settings", delayed_subscriptions=request.param, delayed_after_s=TAKES)
    yield request.param
    story.trigger("settings", delayed_subscriptions="active", delayed_after_s=3)


@pytest.fixture
def grants(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shop gives access before the money is there."""
    monkeypatch.setenv("PAIDUP_PENDING_DEBITS", "grant")


class TestADebitThatIsUnderWay:
    @pytest.mark.parametrize("alone", ["checkout.session.completed", f"{PLAN}.created"])
    def test_grants_nothing(self, story: Story, alone: str) -> None:
        story.buys("monthly", "delayed_success")

        story.hear(alone)
        story.is_swept()

        assert story.access == {}
        assert story.purchase["status"] == "pending"

    def test_grants_nothing_by_a_poll_or_a_sync_either(self, story: Story) -> None:
        story.buys("monthly", "delayed_success")
        story.news()
        story.world.pass_time(10)

        assert story.world.status(story.token["checkout_id"], customer=story.buyer)["state"] == "confirming"
        story.world.sync(customer=story.buyer)

        assert story.access == {}

    def test_grants_at_once_in_a_shop_that_trusts(self, story: Story, grants: None) -> None:
        story.buys("monthly", "delayed_success")
        story.hear()

        assert set(story.access) == {"monthly"}
        assert story.purchase["status"] == "active"

    @pytest.mark.parametrize("alone", ["checkout.session.async_payment_succeeded", "invoice.paid", f"{PLAN}.updated"])
    def test_grants_once_the_money_is_there(self, story: Story, begun_as: str, alone: str) -> None:
        story.buys("monthly", "delayed_success")
        story.hear()
        story.world.pass_time(TAKES)

        if begun_as == "active" and alone == f"{PLAN}.updated":
            alone = "invoice.paid"  # an active subscription does not change with its first payment
        story.hear(alone)
        story.is_swept()

        assert story.access == {"monthly": story.period_end() + GRACE}
        assert story.purchase["status"] == "active"

    def test_grants_by_a_sync_once_the_money_is_there(self, story: Story) -> None:
        story.buys("monthly", "delayed_success")
        story.hear()
        story.world.pass_time(TAKES + 10)
        story.news()

        story.world.sync(customer=story.buyer)

        assert story.access == {"monthly": story.period_end() + GRACE}

    def test_grants_a_pass_once_the_money_is_there(self, story: Story) -> None:
        story.buys("ten_class_pass", "delayed_success")
        story.hear()
        assert story.access == {}
        story.world.pass_time(TAKES)

        story.hear()

        assert set(story.access) == {"ten_class_pass"}


class TestADebitThatBounces:
    @pytest.fixture
    def bounced(self, story: Story) -> Story:
        story.buys("monthly", "delayed_failure")
        story.hear()
        story.world.pass_time(TAKES)
        return story

    def test_fails_the_purchase_and_grants_no_grace(self, bounced: Story) -> None:
        bounced.hear()

        assert bounced.purchase["status"] == "failed"
        assert bounced.access == {}
        assert bounced.world.status(bounced.token["checkout_id"], customer=bounced.buyer)["state"] == "failed"

    @pytest.mark.parametrize("alone", ["checkout.session.async_payment_failed", "invoice.payment_failed"])
    def test_grants_nothing_whichever_event_tells(self, bounced: Story, alone: str) -> None:
        bounced.hear(alone)
        bounced.is_swept()

        assert bounced.access == {}
        assert bounced.purchase["status"] == "failed"
        assert look(bounced.token["checkout_id"], customer=bounced.buyer)["next"] == "recover"

    def test_ends_the_subscription_so_that_it_bills_no_more(self, bounced: Story) -> None:
        bounced.hear()

        bounced.is_swept()
        bounced.hear()

        assert bounced.plan()["status"] in ("canceled", "incomplete_expired")
        assert bounced.purchase["status"] == "failed"
        assert cases(bounced) == {}

    def test_lets_the_buyer_buy_again(self, bounced: Story) -> None:
        bounced.hear()
        bounced.is_swept()
        assert look(bounced.token["checkout_id"], customer=bounced.buyer)["next"] == "recover"

        bounced.buys("monthly")
        bounced.hear()

        assert bounced.access == {"monthly": bounced.period_end() + GRACE}

    def test_ends_at_once_what_was_granted_on_trust(self, story: Story, grants: None) -> None:
        story.buys("monthly", "delayed_failure")
        story.hear()
        assert set(story.access) == {"monthly"}
        version = story.version

        story.world.pass_time(TAKES)
        story.hear()

        assert story.access == {}
        assert story.purchase["status"] == "failed"
        assert story.version > version

    def test_ends_a_pass_that_was_granted_on_trust(self, story: Story, grants: None) -> None:
        story.buys("ten_class_pass", "delayed_failure")
        story.hear()
        assert set(story.access) == {"ten_class_pass"}

        story.world.pass_time(TAKES)
        story.hear()

        assert story.access == {}
        assert story.purchase["status"] == "failed"


class TestABillThatIsPaidAfterItsDebitBounced:
    def test_goes_back_since_the_subscription_has_ended(self, story: Story) -> None:
        """Stripe's mail about the bounced debit links to the invoice, which can still be paid.

        A subscription that never began has none: Stripe voids it.
        """
        story.trigger("settings", delayed_subscriptions="active", delayed_after_s=TAKES)
        story.buys("monthly", "delayed_failure")
        story.world.pass_time(TAKES)
        story.hear()
        story.is_swept()
        story.hear()

        story.trigger(f"invoices/{story.plan()['latest_invoice']}/pay", card=CARD)
        story.hear()
        story.is_swept()
        story.hear()

        assert story.purchase["status"] == "refunded"
        assert story.purchase["refunded"] == 4_900
        assert story.access == {}


class TestARenewalByDebit:
    def test_has_its_grace_while_the_debit_is_under_way_and_when_it_bounced(self, story: Story) -> None:
        story.buys("monthly", "delayed_success")
        story.world.pass_time(TAKES)
        story.hear()
        end = story.period_end()
        assert story.access == {"monthly": end + GRACE}
        story.world.pass_time(end + DAY - story.world.now())

        story.hear()

        assert story.access == {"monthly": end + GRACE}


class TestADebitOfManyDays:
    def test_is_asked_about_ever_less_often(self, story: Story, wire: Wire) -> None:
        """The subscription and its open invoice say the same for days: each wait is twice as long as the one before."""
        story.buys("monthly", "delayed_success")
        story.hear()
        wire.asked.clear()

        for _ in range(45):
            story.is_swept()

        assert 2 <= wire.count(f"GET /v1/subscriptions/{story.plan()['id']}") <= 7
