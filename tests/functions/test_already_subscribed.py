"""Buying knows: while a subscription of a group runs, no second one is sold, and of two that were paid one is kept."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from paidup.flows.support import Decision, review
from paidup.model.offer import Interval, Kind, Offer

from tests.functions.door import asked_of_the_table, pages_of, recover
from tests.functions.merchant import cases, price
from tests.functions.story import CARD, DECLINED_LATER, Story
from tests.functions.wire import Wire
from tests.handlers import Answer
from tests.world import ORIGIN, World, changed

DAY = 86_400
CREATE = "POST /v1/checkout/sessions"
GYM = Offer(
    offer_id="gym",
    name="Gym",
    kind=Kind.SUBSCRIPTION,
    amount=2_900,
    currency="eur",
    interval=Interval.MONTH,
    group="gym",
)
OFFERS = (
    GYM,
    replace(GYM, offer_id="gym_yearly", amount=29_000, interval=Interval.YEAR),
    replace(GYM, offer_id="locker", amount=500, group=None, allow_several=True),
    Offer(offer_id="gym_week", name="A week", kind=Kind.PASS, amount=1_900, currency="eur", valid_days=7, group="gym"),
)


@pytest.fixture(autouse=True)
def grouped_offers(story: Story) -> Iterator[None]:
    """More offers; what a test chose at Stripe, and what it left in the queue, does not get into the next one."""
    for offer in OFFERS:
        story.world.services.table.put_offer(offer)
    yield
    story.trigger("settings", after_retries="cancel", delayed_subscriptions="active", delayed_after_s=3)
    boto3.client("sqs").purge_queue(QueueUrl=os.environ["PAIDUP_WEBHOOK_QUEUE_URL"])


def assert_refused(answer: Answer, story: Story, status: str, purchase_id: str = "") -> str:
    """Assert that *answer* refuses a second subscription, and return what it says to do next."""
    assert answer.status == 409, answer.text
    assert answer.json["type"] == "urn:paidup:problem:already-subscribed"
    assert answer.json["purchase_id"] == (purchase_id or story.token["checkout_id"])
    assert answer.json["purchase_status"] == status
    return str(answer.json["next"])


def grant(story: Story, purchase_id: str) -> None:
    """Let support grant what a person had to decide about."""
    decision = Decision(by="sam", reason="as agreed", now=story.world.now())
    review(story.buyer, purchase_id, story.world.services, decision, grant=True)


def in_trial(story: Story) -> None:
    story.buys("try_monthly")


def active(story: Story) -> None:
    story.buys("monthly")


def ending(story: Story) -> None:
    story.buys("monthly")
    story.post(f"subscriptions/{story.plan()['id']}", cancel_at_period_end="true")


def past_due(story: Story) -> None:
    story.buys("monthly", DECLINED_LATER)
    story.hear()
    story.world.pass_time(32 * DAY)


def unpaid(story: Story) -> None:
    story.trigger("settings", after_retries="unpaid")
    past_due(story)
    story.hear()
    story.world.pass_time(40 * DAY)


def paused(story: Story) -> None:
    story.buys("try_monthly")
    story.hear()
    story.post(f"subscriptions/{story.plan()['id']}/pause")


def uncollected(story: Story) -> None:
    story.buys("monthly")
    story.post(f"subscriptions/{story.plan()['id']}", **{"pause_collection[behavior]": "void"})


class TestASubscriptionThatRuns:
    @pytest.mark.parametrize(
        ("run", "status", "hints"),
        [
            (active, "active", ["/change"]),
            (in_trial, "trialing", ["/change"]),
            (ending, "active", ["/resume", "/change"]),
            (past_due, "past_due", ["/billing-portal", "/change"]),
            (unpaid, "unpaid", ["/billing-portal", "/change"]),
            (paused, "paused", ["/change"]),
            (uncollected, "active", ["/change"]),
        ],
    )
    @pytest.mark.parametrize("offer_id", ["monthly", "yearly"])
    def test_is_not_sold_a_second_time(
        self, story: Story, wire: Wire, run: Callable[[Story], None], status: str, hints: list[str], offer_id: str
    ) -> None:
        run(story)
        story.hear()
        opened = wire.count(CREATE)

        answer = story.world.buy(offer_id, customer=story.buyer)

        told = assert_refused(answer, story, status)
        assert [one for one in ("/resume", "/billing-portal", "/change") if one in told] == hints
        assert wire.count(CREATE) == opened

    def test_is_known_by_the_buyers_own_click_if_no_webhook_came(self, story: Story) -> None:
        story.buys("monthly")
        story.world.pass_time(5)

        answer = story.world.buy("yearly", customer=story.buyer)

        assert_refused(answer, story, "active")

    def test_that_began_between_the_read_and_the_write_is_seen(self, story: Story) -> None:
        """Another tab was paid, and its webhook came, while this click was decided."""
        story.buys("monthly")
        events = story.world.services.table.client.meta.events
        heard: list[str] = []

        def hear_first(**_: Any) -> None:
            if not heard:
                heard.append("…")
                heard.extend(story.hear())

        events.register("before-call.dynamodb.TransactWriteItems", hear_first)
        try:
            answer = story.world.buy("yearly", customer=story.buyer)
        finally:
            events.unregister("before-call.dynamodb.TransactWriteItems", hear_first)

        assert "checkout.session.completed" in heard
        assert_refused(answer, story, "active")

    def test_that_was_sold_by_a_payment_link_counts_too(self, story: Story) -> None:
        story.opens("day_pass")
        customer = story.customer()
        product = story.post("products", name="Monthly", **{"metadata[offer_id]": "monthly"})
        price = story.post(
            "prices", product=product["id"], unit_amount=4_900, currency="eur", **{"recurring[interval]": "month"}
        )
        plan = story.post(
            "subscriptions",
            customer=customer,
            default_payment_method="pm_card_visa",
            **{"items[0][price]": price["id"]},
        )
        story.hear()

        answer = story.world.buy("yearly", customer=story.buyer)

        assert_refused(answer, story, "active", plan["id"])

    @pytest.mark.parametrize("sold_next", ["monthly", "yearly"])
    def test_that_support_granted_counts_too(self, story: Story, sold_next: str) -> None:
        """Its price named no offer, so that a person decided."""
        story.opens("day_pass")
        item = {"items[0][price]": price(story, 3_000)}
        plan = story.post("subscriptions", customer=story.customer(), default_payment_method="pm_card_visa", **item)
        story.hear()
        grant(story, plan["id"])

        answer = story.world.buy(sold_next, customer=story.buyer)

        assert cases(story) == {}
        assert_refused(answer, story, "active", plan["id"])

    def test_that_support_granted_at_another_amount_counts_in_its_group(self, story: Story) -> None:
        story.opens("gym")
        asked_less = replace(GYM, amount=1_000)
        checkout = story.world.services.table.checkout(story.buyer, story.token["checkout_id"])
        assert checkout
        account = story.world.services.table.account(story.buyer)
        cheaper = replace(checkout, cart=asked_less.cart(1, None))
        story.world.services.table.commit(changed(account, account, cheaper, now=story.world.now()))
        story.pays()
        story.hear()
        assert list(cases(story)) == ["amount-mismatch"]
        grant(story, story.token["checkout_id"])

        assert_refused(story.world.buy("gym_yearly", customer=story.buyer), story, "active")
        assert story.world.buy("monthly", customer=story.buyer).status == 201

    def test_is_no_hindrance_to_what_is_of_no_group(self, story: Story) -> None:
        story.buys("monthly")
        story.hear()

        assert story.world.buy("ten_class_pass", customer=story.buyer).status == 201

    def test_is_no_hindrance_to_another_group(self, story: Story) -> None:
        story.buys("monthly")
        story.hear()

        assert story.world.buy("gym", customer=story.buyer).status == 201

    def test_is_no_hindrance_to_an_offer_that_allows_several(self, story: Story) -> None:
        story.buys("locker")
        story.hear()

        assert story.world.buy("locker", customer=story.buyer).status == 201
        assert story.world.buy("monthly", customer=story.buyer).status == 201

    def test_is_no_hindrance_to_another_customer(self, story: Story) -> None:
        story.buys("monthly")
        story.hear()

        assert story.world.buy("monthly", customer=story.world.customer()).status == 201

    @pytest.mark.parametrize("offer_id", ["gym", "gym_yearly", "gym_week"])
    def test_excludes_all_of_its_group(self, story: Story, offer_id: str) -> None:
        story.buys("gym")
        story.hear()

        assert_refused(story.world.buy(offer_id, customer=story.buyer), story, "active")

    def test_counts_in_the_group_of_the_offer_that_it_was_changed_to(self, story: Story) -> None:
        story.buys("monthly")
        story.hear()
        product = story.post("products", name="Gym", **{"metadata[offer_id]": "gym"})
        price = story.post(
            "prices", product=product["id"], unit_amount=2_900, currency="eur", **{"recurring[interval]": "month"}
        )
        plan = story.plan()
        (item,) = plan["items"]["data"]
        story.post(f"subscriptions/{plan['id']}", **{"items[0][id]": item["id"], "items[0][price]": price["id"]})
        story.hear()

        assert_refused(story.world.buy("gym_yearly", customer=story.buyer), story, "active")
        assert story.world.buy("yearly", customer=story.buyer).status == 201

    def test_is_sold_again_when_it_has_ended(self, story: Story) -> None:
        story.buys("monthly")
        story.hear()
        story.cancel()
        story.hear()

        assert story.world.buy("monthly", customer=story.buyer).status == 201

    def test_that_failed_to_be_paid_can_be_bought_again(self, story: Story) -> None:
        story.trigger("settings", delayed_subscriptions="incomplete", delayed_after_s=DAY)
        story.buys("monthly", "delayed_failure")
        story.world.pass_time(DAY)
        story.hear()

        assert story.world.buy("monthly", customer=story.buyer).status == 201

    def test_is_the_answer_to_the_same_key_again(self, story: Story) -> None:
        key = {"Idempotency-Key": "a-click"}
        story.buys("monthly", headers=key)
        story.hear()

        again = story.world.buy("monthly", customer=story.buyer, headers=key)

        assert (again.status, again.json["status"]) == (200, "completed")

    def test_is_not_sold_by_recovering_an_older_checkout(self, story: Story) -> None:
        story.opens("yearly")
        old = story.token["checkout_id"]
        story.world.pass_time(DAY + 60)
        story.world.sweep()
        story.buys("monthly")
        story.hear()

        assert_refused(recover(old, customer=story.buyer), story, "active")

    def test_closes_an_open_page_of_its_group(self, story: Story) -> None:
        """The subscription came from a page that this shop does not remember."""
        forgotten = page_without_checkout(story, "co_forgotten")
        story.opens("yearly")
        story.world.pay(forgotten["url"], CARD)
        story.hear()

        assert recover(story.token["checkout_id"], customer=story.buyer).status == 409
        story.world.sweep()
        assert story.session()["status"] == "expired"

    def test_costs_its_customer_one_read(self, story: Story) -> None:
        story.buys("monthly")
        story.hear()

        with asked_of_the_table(story.world) as asked:
            assert story.world.buy("yearly", customer=story.buyer).status == 409

        assert asked.count("BatchGetItem") == 1

    def test_that_ended_costs_its_customer_no_read(self, story: Story) -> None:
        story.buys("monthly")
        story.hear()
        story.cancel()
        story.hear()

        with asked_of_the_table(story.world) as of_a_newcomer:
            story.world.buy("yearly", customer=story.world.customer())
        with asked_of_the_table(story.world) as asked:
            story.world.buy("yearly", customer=story.buyer)

        assert asked == of_a_newcomer


def page_without_checkout(story: Story, checkout_id: str, offer_id: str = "monthly", amount: int = 4_900) -> Any:
    """Open a page at Stripe as this shop does, of which its table knows nothing."""
    metadata = {
        "customer_id": story.buyer,
        "checkout_id": checkout_id,
        "offer_id": offer_id,
        "kind": "subscription",
        "asked": f"{amount} eur",
        "quantity": "1",
    }
    asked: Any = {
        "mode": "subscription",
        "client_reference_id": story.buyer,
        "success_url": ORIGIN,
        "metadata": metadata,
        "subscription_data": {"metadata": metadata},
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": "eur",
                    "unit_amount": amount,
                    "recurring": {"interval": "month"},
                    "product_data": {"name": "Monthly", "metadata": {"offer_id": offer_id}},
                },
            }
        ],
    }
    return story.world.stripe.v1.checkout.sessions.create(asked).to_dict()


class TestTwoThatWerePaid:
    """Of both, the first is kept. The later one is cancelled, and its money goes back."""

    def assert_first_kept(self, story: Story, first: str, later: str) -> None:
        story.world.sweep()
        story.hear()
        found = {one["purchase_id"]: one for one in story.account["purchases"]}
        assert found[first]["status"] == "active"
        assert found[later]["status"] == "refunded"
        assert found[later]["paid_before"] == first
        listed = story.world.stripe.v1.subscriptions.list({"status": "all", "limit": 100}).data
        plans = [(one.status, one.to_dict()["metadata"]) for one in listed]
        states = {said["checkout_id"]: status for status, said in plans if said.get("customer_id") == story.buyer}
        assert states == {first: "active", later: "canceled"}
        assert [one["purchase_id"] for one in story.account["access"]] == [first]

    @pytest.mark.parametrize("order", [1, -1])
    def test_on_unlinked_pages_by_webhook_in_any_order(self, story: Story, order: int) -> None:
        story.buys("yearly")
        story.world.pass_time(5)
        story.world.pay(page_without_checkout(story, "co_zz")["url"], CARD)
        news = story.news()
        story.world.pass_time(10)

        for event in news[::order]:
            story.world.deliver(event)
        story.world.work_queue(100)

        self.assert_first_kept(story, story.token["checkout_id"], "co_zz")

    def test_on_a_page_that_was_paid_first_and_heard_of_last(self, story: Story) -> None:
        story.opens("yearly")
        story.world.pay(page_without_checkout(story, "co_zz")["url"], CARD)
        early = story.news()
        story.world.pass_time(5)
        story.pays()
        story.hear()

        for event in early:
            story.world.deliver(event)
        story.world.work_queue(100)

        self.assert_first_kept(story, "co_zz", story.token["checkout_id"])

    def test_by_a_sync(self, story: Story) -> None:
        story.buys("yearly")
        story.hear()
        customer = story.customer()
        story.world.pass_time(5)
        page = page_without_checkout(story, "co_zz")
        story.world.pay(page["url"], CARD)
        later = story.world.stripe.v1.checkout.sessions.retrieve(page["id"])
        story.news()
        assert later.customer != customer
        account = story.world.services.table.account(story.buyer)
        known = account.known_as(f"stripe#{later.customer}", currency="chf")
        commit(story.world, known)

        assert story.world.sync(customer=story.buyer).status == 200

        self.assert_first_kept(story, story.token["checkout_id"], "co_zz")

    def test_in_two_tabs(self, story: Story) -> None:
        """The page of the first tab was closed too late."""
        story.opens("monthly")
        first = story.token
        story.opens("yearly")
        story.pays()
        story.world.pass_time(5)
        story.world.pay(first["url"], CARD)
        story.hear()

        self.assert_first_kept(story, story.token["checkout_id"], first["checkout_id"])

    def test_are_both_kept_if_they_are_of_different_groups(self, story: Story) -> None:
        story.buys("gym")
        story.world.pass_time(5)
        story.world.pay(page_without_checkout(story, "co_zz")["url"], CARD)
        story.hear()
        story.world.sweep()
        story.hear()

        assert {one["status"] for one in story.account["purchases"]} == {"active"}
        assert len(story.account["access"]) == 2

    def test_are_both_kept_if_the_offer_allows_several(self, story: Story) -> None:
        story.buys("locker")
        story.hear()
        story.buys("locker")
        story.hear()
        story.world.sweep()
        story.hear()

        assert [one["status"] for one in story.account["purchases"]] == ["active", "active"]
        assert len(pages_of(story.world, story.buyer)) == 2

    def test_are_both_kept_if_one_of_them_is_not_from_a_page_of_ours(self, story: Story) -> None:
        """The shop made it in the dashboard, and may mean it."""
        story.buys("monthly")
        story.hear()
        product = story.post("products", name="Yearly", **{"metadata[offer_id]": "yearly"})
        price = story.post(
            "prices", product=product["id"], unit_amount=49_000, currency="eur", **{"recurring[interval]": "year"}
        )
        story.post(
            "subscriptions",
            customer=story.customer(),
            default_payment_method="pm_card_visa",
            **{"items[0][price]": price["id"]},
        )
        story.hear()
        story.world.sweep()

        assert {one["status"] for one in story.account["purchases"]} == {"active"}


def commit(world: World, account: Any) -> None:
    before = world.services.table.account(account.customer_id)
    world.services.table.commit(changed(before, account, now=world.now()))
