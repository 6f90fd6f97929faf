"""One trial a customer and group: remembered for good, for the customer and for the verified e-mail address."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from paidup.model.group import TrialRecord
from paidup.model.offer import Interval, Kind, Offer
from paidup.outside.retry import LostRace

from tests.functions.door import asked_of_the_table, recover
from tests.functions.merchant import deliver
from tests.functions.story import CARD, DECLINED_LATER, Story
from tests.handlers import Answer, request
from tests.world import World, changed

DAY = 86_400
GYM = Offer(
    offer_id="try_gym",
    name="Gym, a week free",
    kind=Kind.SUBSCRIPTION,
    amount=2_900,
    currency="eur",
    interval=Interval.MONTH,
    trial_days=7,
    group="gym",
)
OFFERS = (GYM, replace(GYM, offer_id="try_locker", amount=500, group="lockers", allow_several=True))


@pytest.fixture(autouse=True)
def trial_offers(world: World) -> Iterator[None]:
    """More offers with a trial."""
    for offer in OFFERS:
        world.services.table.put_offer(offer)
    yield
    boto3.client("sqs").purge_queue(QueueUrl=os.environ["PAIDUP_WEBHOOK_QUEUE_URL"])


def trial_of(story: Story, token: Any) -> int | None:
    """Return the trial days that the payment page *token* gives, as Stripe shows them: nothing is due on it then."""
    story.token = token
    return None if story.session()["amount_total"] else token["trial_days"]


def bought_by(customer: str, email: str | None, offer_id: str = "try_monthly", *, verified: bool = True) -> Answer:
    """Let the customer with this address, verified or not, ask for a payment page."""
    caller = {"customer_id": customer, "email": email or "", "roles": [], "email_verified": verified}
    return request("POST /payment-tokens", caller=caller, body={"offer_id": offer_id})


class TestAFirstTrial:
    def test_is_given(self, story: Story) -> None:
        story.opens("try_monthly")

        assert trial_of(story, story.token) == 14

    def test_is_still_there_after_a_page_that_nobody_paid(self, story: Story) -> None:
        story.opens("try_monthly")
        story.world.pass_time(DAY + 60)
        story.world.sweep()
        story.opens("try_monthly")

        assert trial_of(story, story.token) == 14

    def test_is_given_for_each_group(self, story: Story) -> None:
        story.buys("try_monthly")
        story.hear()
        story.opens("try_gym")

        assert trial_of(story, story.token) == 7

    def test_is_given_after_a_subscription_without_one(self, story: Story) -> None:
        story.buys("monthly")
        story.hear()
        story.cancel()
        story.hear()
        story.opens("try_monthly")

        assert trial_of(story, story.token) == 14


class TestASecondTrial:
    """It is the same offer, at its price at once."""

    @pytest.mark.parametrize("days", [1, 15, 800])
    def test_is_not_given_after_cancelling(self, story: Story, days: int) -> None:
        story.buys("try_monthly")
        story.hear()
        story.cancel()
        story.hear()
        story.world.pass_time(days * DAY)
        story.opens("try_monthly")

        assert trial_of(story, story.token) is None
        assert story.session()["amount_total"] == 4_900

    def test_is_paid_at_once_and_grants_what_was_paid(self, story: Story) -> None:
        story.buys("try_monthly")
        story.hear()
        story.cancel()
        story.hear()
        story.world.pass_time(60)
        story.buys("try_monthly")
        story.hear()

        second = next(one for one in story.account["purchases"] if one["purchase_id"] == story.token["checkout_id"])
        assert second["status"] == "active"
        assert story.plan()["trial_end"] is None

    def test_is_not_given_for_an_offer_that_allows_several(self, story: Story) -> None:
        story.buys("try_locker")
        story.hear()
        story.opens("try_locker")

        assert trial_of(story, story.token) is None

    def test_is_not_given_if_nobody_heard_of_the_first_but_the_click(self, story: Story) -> None:
        story.buys("try_locker")
        story.world.pass_time(5)
        story.world.buy("day_pass", customer=story.buyer)
        story.opens("try_locker")

        assert trial_of(story, story.token) is None

    def test_on_a_parallel_page_is_cancelled(self, story: Story) -> None:
        """Both pages were open at once, and both were paid."""
        story.opens("try_locker")
        first = story.token
        story.opens("try_monthly")
        story.pays()
        story.world.pass_time(5)
        story.world.pay(first["url"], CARD)
        story.hear()
        story.world.sweep()
        story.hear()

        states = {one["purchase_id"]: one["status"] for one in story.account["purchases"]}
        assert states[story.token["checkout_id"]] == "trialing"
        assert states[first["checkout_id"]] == "refunded"

    def test_is_not_given_by_recovering_a_page_that_had_one(self, story: Story) -> None:
        story.opens("try_locker")
        old = story.token["checkout_id"]
        story.world.pass_time(DAY + 60)
        story.world.sweep()
        story.buys("try_locker")
        story.hear()

        answer = recover(old, customer=story.buyer)

        assert answer.status == 201, answer.text
        assert trial_of(story, answer.json) is None

    def test_replaces_the_open_page_that_still_had_one(self, story: Story) -> None:
        """A trial began at the provider while the page was open."""
        story.opens("try_locker")
        old = story.token
        account = story.world.services.table.account(story.buyer)
        used = changed(account, account.with_trial("lockers"), now=story.world.now())
        story.world.services.table.commit(used)
        story.opens("try_locker")

        assert story.token["replaced_checkout_id"] == old["checkout_id"]
        assert trial_of(story, story.token) is None

    def test_is_not_given_though_the_first_was_never_paid_for(self, story: Story) -> None:
        story.buys("try_monthly", DECLINED_LATER)
        story.hear()
        story.world.pass_time(50 * DAY)
        story.hear()
        story.cancel()
        story.hear()
        story.opens("try_monthly")

        assert trial_of(story, story.token) is None

    def test_is_not_promised_by_the_account(self, story: Story) -> None:
        before = story.account["trials_used"]
        story.buys("try_monthly")
        story.hear()

        assert (before, story.account["trials_used"]) == ([], ["subscriptions"])

    def test_costs_the_account_no_read_more(self, story: Story) -> None:
        def asked() -> list[str]:
            with asked_of_the_table(story.world) as made:
                assert story.account
            return made

        without = asked()
        account = story.world.services.table.account(story.buyer)
        used = changed(account, account.with_trial("lockers"), now=story.world.now())
        story.world.services.table.commit(used)

        assert asked() == without


class TestAVerifiedAddress:
    def begin(self, story: Story, email: str, *, verified: bool = True, offer_id: str = "try_monthly") -> None:
        story.token = bought_by(story.buyer, email, offer_id, verified=verified).json
        story.pays()
        story.hear()

    @pytest.mark.parametrize("spelled", ["{}@example.com", "{}@EXAMPLE.com", " {}@example.com "])
    def test_has_one_trial_however_many_customers_have_it(self, story: Story, spelled: str) -> None:
        self.begin(story, f"{story.buyer}@example.com")

        other = bought_by(story.world.customer(), spelled.format(story.buyer.upper()))

        assert other.status == 201
        assert trial_of(story, other.json) is None

    def test_has_its_trial_in_another_group(self, story: Story) -> None:
        self.begin(story, f"{story.buyer}@example.com")

        other = bought_by(story.world.customer(), f"{story.buyer}@example.com", "try_gym")

        assert trial_of(story, other.json) == 7

    def test_of_somebody_else_has_its_own(self, story: Story) -> None:
        self.begin(story, f"{story.buyer}@example.com")

        other = bought_by(story.world.customer(), f"not-{story.buyer}@example.com")

        assert trial_of(story, other.json) == 14

    def test_is_not_used_up_by_a_trial_of_somebody_who_only_says_that_it_is_theirs(self, story: Story) -> None:
        self.begin(story, f"{story.buyer}@example.com", verified=False)

        other = bought_by(story.world.customer(), f"{story.buyer}@example.com")

        assert trial_of(story, other.json) == 14

    def test_is_used_up_by_the_trial_and_not_by_the_page(self, story: Story) -> None:
        bought_by(story.buyer, f"{story.buyer}@example.com")

        other = bought_by(story.world.customer(), f"{story.buyer}@example.com")

        assert trial_of(story, other.json) == 14

    def test_lies_nowhere_in_the_record_of_its_trial(self, story: Story) -> None:
        self.begin(story, f"{story.buyer}@example.com")

        table = story.world.services.table
        found = table.client.scan(TableName=table.name)["Items"]
        records = [one for one in found if one["pk"]["S"].startswith("TRIAL#")]
        assert records
        assert "example.com" not in json.dumps(records)

    def test_costs_one_read_and_only_for_a_cart_with_a_trial(self, story: Story) -> None:
        def asked(offer_id: str, *, verified: bool) -> int:
            with asked_of_the_table(story.world) as made:
                customer = story.world.customer()
                bought_by(customer, f"{customer}@example.com", offer_id, verified=verified)
            return made.count("GetItem")

        assert asked("try_monthly", verified=True) - asked("try_monthly", verified=False) == 1
        assert asked("monthly", verified=True) == asked("monthly", verified=False)

    def parallel(self, story: Story) -> Story:
        """Open a page with a trial for two customers with one address, and return the second customer's story."""
        second = Story(story.world, story.world.customer())
        for one in (story, second):
            one.token = bought_by(one.buyer, f"{story.buyer}@example.com").json
            assert one.token["trial_days"] == 14
        return second

    @pytest.mark.parametrize("first", [0, 1])
    def test_has_one_trial_though_two_customers_had_their_pages_open_at_once(self, story: Story, first: int) -> None:
        both = (story, self.parallel(story))
        news = []
        for one in both:
            one.pays()
            news.append(story.news())

        deliver(story, *news[first], *news[1 - first])
        story.is_swept()
        story.hear()

        kept, other = both[first], both[1 - first]
        assert (kept.purchase["status"], other.purchase["status"]) == ("trialing", "refunded")
        assert (list(kept.access), list(other.access)) == (["try_monthly"], [])
        assert (kept.plan()["status"], other.plan()["status"]) == ("trialing", "canceled")

    def test_has_one_trial_record_if_both_are_settled_at_the_same_moment(self, story: Story) -> None:
        """Neither has seen the other's record: the second write is lost, and its reader sees the first."""
        table, now = story.world.services.table, story.world.now()
        record = TrialRecord(email_hash=story.buyer, group="subscriptions", at=now)
        changes = []
        for customer in (story.buyer, story.world.customer()):
            account = table.account(customer)
            changes.append(changed(account, account.with_trial("subscriptions"), now=now))
            changes[-1].trial_record = record
        table.commit(changes[0])

        with pytest.raises(LostRace):
            table.commit(changes[1])

    def test_lets_its_second_customer_buy_at_the_full_price(self, story: Story) -> None:
        second = self.parallel(story)
        for one in (story, second):
            one.pays()
            one.hear()
        second.is_swept()
        second.hear()

        answer = bought_by(second.buyer, f"{story.buyer}@example.com")

        assert answer.status == 201, answer.text
        assert trial_of(second, answer.json) is None
