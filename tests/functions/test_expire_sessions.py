"""expire_sessions: what the clock ends, once, and only when its time has come."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count, islice

import pytest
from paidup.model.checkout import Checkout, reserved
from paidup.outside.dynamo.items import DUE_SHARDS, PAGE_SHARDS, due_shard

from tests.functions.door import asked_of_the_table, look
from tests.functions.merchant import DAY, GRACE
from tests.functions.story import DECLINED_LATER, Story
from tests.functions.wire import Exchange, Wire, be_down, forbidden, gone, pass_on
from tests.world import ORIGIN, World, changed

PAGE, EXPIRE = "GET /v1/checkout/sessions", "POST /v1/checkout/sessions"


@pytest.fixture(autouse=True)
def nothing_left_due(story: Story, world: World) -> Iterator[None]:
    """Everything comes to its end after a test, so that nothing is due in the next one."""
    yield
    story.cancel()
    world.pass_time(181 * DAY)
    while world.sweep()["unfinished"]:
        pass


def checkout(story: Story) -> Checkout:
    found = story.world.services.table.checkout(story.buyer, story.token["checkout_id"])
    assert found
    return found


def page(story: Story) -> str:
    return str(story.session()["status"])


def reserve_in_one_shard(story: Story, *, begun: int) -> list[str]:
    """Reserve a checkout for each of 101 buyers, whose rows all lie in one shard, and return them."""
    world = story.world
    table, offer = world.services.table, world.services.table.offer("day_pass")
    assert offer
    names = (f"{story.buyer}-{n}" for n in count())
    buyers = list(islice((name for name in names if due_shard(name, PAGE_SHARDS) == PAGE_SHARDS[7]), 101))
    for name in buyers:
        account = table.account(name)
        one = reserved(
            checkout_id="co_1",
            customer_id=name,
            cart=offer.cart(1),
            provider="stripe",
            success_url=ORIGIN,
            cancel_url=ORIGIN,
            lifetime_s=DAY,
            now=begun,
        )
        owned = replace(account, open_checkout_id="co_1")
        table.commit(changed(account, owned, one, now=1))
    return buyers


class TestACheckout:
    def test_expires_when_its_time_has_come(self, story: Story) -> None:
        story.opens("day_pass")
        story.world.pass_time(DAY)
        assert story.world.sweep()["ended"] == 1
        assert checkout(story).status == "expired"
        assert page(story) == "expired"
        assert story.world.services.table.account(story.buyer).open_checkout_id is None

    def test_that_nobody_finished_to_open_is_over_in_two_minutes(self, story: Story, wire: Wire) -> None:
        wire.inject(EXPIRE, be_down)
        assert story.world.buy("day_pass", customer=story.buyer).status == 503
        half = story.world.services.table.load_open(story.buyer).checkout
        assert half
        wire.mend()

        story.world.pass_time(120)
        assert look(half.checkout_id, customer=story.buyer)["status"] == "expired"
        assert story.account["checkout"] is None
        assert story.world.sweep()["ended"] == 1

        table = story.world.services.table
        found = table.checkout(story.buyer, half.checkout_id)
        assert found
        assert (found.status, found.due_at) == ("expired", None)
        assert table.account(story.buyer).open_checkout_id is None

    def test_is_left_alone_before_its_first_look(self, story: Story, wire: Wire) -> None:
        story.opens("day_pass")
        story.world.pass_time(110)
        before = checkout(story)
        wire.asked.clear()
        swept = story.world.sweep()
        assert (swept["ended"], swept["looked"], swept["postponed"]) == (0, 0, 0)
        assert checkout(story) == before
        assert wire.asked == []

    def test_is_closed_at_stripe_when_stripes_clock_is_behind(self, story: Story) -> None:
        """Nobody shall pay on a page whose checkout is over here."""
        story.opens("day_pass")
        table, seen = story.world.services.table, story.world.services.table.load_open(story.buyer)
        assert seen.checkout
        early = replace(seen.checkout, expires_at=story.world.now(), due_at=story.world.now())
        table.commit(changed(seen.account, seen.account, early, now=1))
        story.world.sweep()
        assert page(story) == "expired"
        assert checkout(story).status == "expired"

    def test_that_was_paid_is_settled_instead(self, story: Story) -> None:
        story.buys("day_pass")
        story.world.pass_time(DAY)
        story.world.sweep()
        assert checkout(story).status == "completed"
        assert story.access == {"day_pass": None}

    def test_that_is_paid_in_the_very_moment_is_settled_instead(self, story: Story, wire: Wire) -> None:
        """Expiring is refused for what was paid since we looked: that is no reason to end it."""
        story.opens("day_pass")
        old = story.token
        story.opens("ten_class_pass")

        def pay_first(exchange: Exchange) -> None:
            story.world.pay(old["url"])
            pass_on(exchange)

        wire.inject(f"{EXPIRE}/{old['token']}/expire", pay_first)
        story.world.sweep()
        assert story.access == {"day_pass": None}
        found = story.world.status(old["checkout_id"], customer=story.buyer)
        assert found["state"] == "active"

    def test_that_stripe_has_never_heard_of_expires_all_the_same(self, story: Story) -> None:
        """Its API key changed to another account's."""
        story.opens("day_pass")
        table, seen = story.world.services.table, story.world.services.table.load_open(story.buyer)
        assert seen.checkout
        strange = replace(seen.checkout, token="cs_test_of_another_account")
        table.commit(changed(seen.account, seen.account, strange, now=1))
        story.world.pass_time(DAY)
        story.world.sweep()
        assert checkout(story).status == "expired"

    def test_is_ended_once(self, story: Story) -> None:
        story.opens("day_pass")
        story.world.pass_time(DAY)
        story.world.sweep()
        before = checkout(story)
        assert story.world.sweep()["ended"] == 0
        assert checkout(story) == before


class TestWhileStripeIsAway:
    def test_a_page_is_closed_later_and_later(self, story: Story, wire: Wire) -> None:
        story.opens("day_pass")
        story.world.pass_time(DAY)
        wire.inject("", be_down)
        for wait_s in (60, 120, 240, 480, 960, 1_920, 3_600, 3_600):
            assert story.world.sweep()["postponed"] == 1
            due_at = checkout(story).due_at
            assert due_at
            assert due_at == story.world.now() + wait_s
            assert story.world.sweep()["postponed"] == 0
            story.world.pass_time(due_at - story.world.now())
        wire.mend()
        assert story.world.sweep()["ended"] == 1
        assert page(story) == "expired"

    def test_readers_see_the_checkout_expired(self, story: Story, wire: Wire) -> None:
        story.opens("day_pass")
        story.world.pass_time(DAY)
        wire.inject("", be_down)
        story.world.sweep()
        assert story.world.status(story.token["checkout_id"], customer=story.buyer)["state"] == "expired"

    def test_no_more_than_three_are_waited_for_in_a_run(self, story: Story, world: World, wire: Wire) -> None:
        buyers = [Story(world, world.customer()) for _ in range(5)]
        for one in buyers:
            one.opens("day_pass")
        world.pass_time(DAY)
        wire.inject("", be_down)
        assert world.sweep()["postponed"] == 3
        wire.mend()
        world.pass_time(60)
        assert world.sweep()["ended"] == 5
        assert {checkout(one).status for one in buyers} == {"expired"}

    def test_pages_that_it_refuses_to_close_hold_up_no_other(self, world: World, wire: Wire) -> None:
        """A refusal is an answer: the next one is asked about as ever."""
        stories = [Story(world, world.customer()) for _ in range(6)]
        for one in stories:
            one.opens("day_pass")
        world.pass_time(1)
        for one in stories[:5]:
            wire.inject(f"GET /v1/checkout/sessions/{one.token['token']}", forbidden)
        world.pass_time(DAY)
        swept = world.sweep()
        assert (swept["ended"], swept["postponed"], swept["outages"]) == (1, 5, 0)

    def test_passes_end_all_the_same(self, story: Story, wire: Wire) -> None:
        story.buys("ten_class_pass")
        story.hear()
        until = story.access["ten_class_pass"]
        assert until
        story.world.pass_time(until - story.world.now())
        wire.inject("", be_down)
        assert story.world.sweep()["ended"] == 1
        assert story.version == 2


class TestAnOpenPage:
    """Its webhook may be lost, and its buyer may have closed the tab: the sweep looks at it ever less often."""

    def test_that_was_paid_is_settled_by_the_first_look(self, story: Story) -> None:
        story.buys("ten_class_pass")

        story.is_swept(120)

        assert set(story.access) == {"ten_class_pass"}
        assert checkout(story).status == "completed"

    @pytest.mark.parametrize(("paid_after_s", "found_at"), [(180, 300), (420, 900), (960, 3_600), (3_660, 7_200)])
    def test_that_is_paid_later_is_settled_by_a_later_look(
        self, story: Story, paid_after_s: int, found_at: int
    ) -> None:
        story.opens("ten_class_pass")
        for _ in range(paid_after_s // 60):
            story.is_swept(60)
        story.pays()

        story.is_swept(found_at - paid_after_s - 1)
        assert story.access == {}
        story.is_swept(1)

        assert set(story.access) == {"ten_class_pass"}

    def test_that_nobody_paid_is_looked_at_again_later_and_stays_open(self, story: Story, wire: Wire) -> None:
        story.opens("day_pass")
        wire.asked.clear()
        for _ in range(60):
            story.is_swept(60)

        assert checkout(story).status == "open"
        assert len([one for one in wire.asked if one.startswith("GET /v1/checkout/sessions/")]) == 4

    def test_of_a_live_session_waits_for_a_host_from_then_on(self, story: Story) -> None:
        story.buys("live_session")
        story.is_swept(900)

        booking = story.account["booking"]
        assert (booking["status"], booking["remaining_s"]) == ("waiting", 900)

    def test_is_looked_at_again_when_the_provider_is_back(self, story: Story, wire: Wire) -> None:
        story.buys("ten_class_pass")
        wire.inject("", be_down)
        story.world.pass_time(120)
        assert story.world.sweep()["outages"] == 1
        wire.mend()

        story.is_swept(180)

        assert set(story.access) == {"ten_class_pass"}

    def test_that_the_provider_does_not_have_ends(self, story: Story, wire: Wire) -> None:
        story.opens("day_pass")
        wire.inject("GET /v1/checkout/sessions/", gone)

        story.is_swept(120)

        assert checkout(story).status == "expired"


class TestTime:
    def test_that_is_up_leaves_the_rest_for_the_next_run(self, story: Story, world: World) -> None:
        buyers = [Story(world, world.customer()) for _ in range(4)]
        for one in buyers:
            one.opens("day_pass")
        world.pass_time(DAY)
        swept = world.sweep(60.0, 60.0, 9.9)
        assert (swept["ended"], swept["failed"], swept["unfinished"]) == (2, 0, True)
        rest = world.sweep()
        assert (rest["ended"], rest["failed"], rest["unfinished"]) == (2, 0, False)
        assert {checkout(one).status for one in buyers} == {"expired"}

    def test_is_spent_on_access_before_pages(self, story: Story) -> None:
        """Somebody waits for what ends or goes back; a page that is due to be closed waits for nobody."""
        story.buys("ten_class_pass")
        story.hear()
        story.opens("day_pass")  # due long before
        until = story.access["ten_class_pass"]
        assert until
        story.world.pass_time(until - story.world.now())
        swept = story.world.sweep(60.0, 9.9)
        assert (swept["ended"], swept["unfinished"]) == (1, True)
        assert story.access == {}
        assert checkout(story).due_at is not None

    def test_that_is_up_at_once_is_no_harm(self, story: Story) -> None:
        story.opens("day_pass")
        story.world.pass_time(DAY)
        swept = story.world.sweep(5)
        assert (swept["ended"], swept["failed"], swept["unfinished"]) == (0, 0, True)
        assert checkout(story).status == "open"

    def test_and_reads_grow_with_what_is_due_and_not_with_the_table(self, story: Story, world: World) -> None:
        """A page of the index holds a hundred; what is not due yet is not even read, though it is more than that."""
        with asked_of_the_table(world) as empty:
            world.sweep()
        reserve_in_one_shard(story, begun=world.now())
        with asked_of_the_table(world) as full:
            world.sweep()
        assert empty == full == ["Query"] * len(DUE_SHARDS + PAGE_SHARDS)

    def test_is_spent_on_every_page_of_what_is_due(self, story: Story, world: World) -> None:
        buyers = reserve_in_one_shard(story, begun=world.now() - DAY)
        assert world.sweep()["ended"] == len(buyers)
        found = [world.services.table.checkout(name, "co_1") for name in buyers]
        assert [one.status for one in found if one] == ["expired"] * len(buyers)

    def test_is_never_spent_on_reading_alone(self, story: Story, world: World) -> None:
        """However much is due, the first of it has ended before the rest is read."""
        buyers = reserve_in_one_shard(story, begun=world.now() - DAY)
        with asked_of_the_table(world) as asked:
            swept = world.sweep(60.0, 60.0, 60.0, 9.9)
        assert (swept["ended"], swept["unfinished"]) == (3, True)
        assert asked.count("Query") <= len(DUE_SHARDS + PAGE_SHARDS)  # one page of each, at most
        assert world.sweep()["ended"] == len(buyers) - 3


class TestOneThatCannotBeDealtWith:
    def test_does_not_hold_up_the_others(self, story: Story, world: World) -> None:
        """A row that cannot be read is somebody's bug to mend; the next in line is not to wait for that."""
        table, broken = world.services.table, story.buyer
        other = next(name for n in count() if due_shard(name := f"{broken}-{n}") == due_shard(broken))
        Story(world, other).opens("day_pass")
        key = {"pk": {"S": f"CUSTOMER#{broken}"}, "sk": {"S": "CHECKOUT#co_broken"}}
        due = {"customer_id": {"S": broken}, "due_shard": {"S": due_shard(broken, PAGE_SHARDS)}, "due_at": {"N": "1"}}
        table.client.put_item(TableName=table.name, Item={**key, **due})
        world.pass_time(DAY)
        try:
            with pytest.raises(Exception, match="1 things that are due"):
                world.sweep()
            assert world.account(customer=other).get("checkout") is None
            seen = table.account(other)
            assert seen.open_checkout_id is None
        finally:
            table.client.delete_item(TableName=table.name, Key=key)


class TestAPass:
    def test_ends_by_the_clock(self, story: Story) -> None:
        story.buys("ten_class_pass")
        story.hear()
        until = story.access["ten_class_pass"]
        assert until
        story.world.pass_time(until - 1 - story.world.now())
        assert story.world.sweep()["ended"] == 0
        assert story.version == 1
        story.world.pass_time(2)
        assert story.world.sweep()["ended"] == 1
        assert story.access == {}
        assert story.purchase["status"] == "ended"
        assert story.version == 2
        entry = story.world.services.table.timeline(story.buyer)[0]
        assert (entry.said_by, entry.change) == ("clock", "access ended by the clock: ended")
        assert story.world.sweep()["ended"] == 0
        assert story.version == 2

    def test_ends_alone(self, story: Story) -> None:
        story.buys("day_pass")
        story.hear()
        story.world.pass_time(1)
        story.buys("ten_class_pass")
        story.hear()
        until = story.access["ten_class_pass"]
        assert until
        story.world.pass_time(until - story.world.now())
        story.world.sweep()
        assert story.access == {"day_pass": None}
        assert story.version == 3


class TestASubscription:
    def test_whose_renewal_was_never_heard_of_goes_on(self, story: Story) -> None:
        """All webhooks are dead; at the deadline Stripe is asked, and what was paid counts."""
        story.buys("monthly")
        story.hear()
        until = story.access["monthly"]
        assert until
        story.world.pass_time(until - story.world.now())
        story.world.sweep()
        assert story.access == {"monthly": story.period_end() + GRACE}
        assert story.period_end() > until
        assert story.version == 3
        assert story.world.sweep()["ended"] == 0
        assert story.version == 3

    def test_whose_end_was_never_heard_of_ends(self, story: Story) -> None:
        story.buys("monthly")
        story.hear()
        until = story.access["monthly"]
        assert until
        story.cancel()
        story.world.pass_time(until - story.world.now())
        story.world.sweep()
        assert story.purchase["status"] == "canceled"
        assert story.access == {}
        assert story.version == 3

    def test_that_is_past_due_ends_with_its_grace(self, story: Story) -> None:
        story.buys("monthly", DECLINED_LATER)
        story.hear()
        due = story.period_end()
        story.world.pass_time(due + DAY - story.world.now())
        story.hear()
        assert story.access == {"monthly": due + GRACE}
        version = story.version
        story.world.pass_time(due + GRACE - story.world.now())
        story.world.sweep()
        assert story.purchase["status"] == "unpaid"
        assert story.access == {}
        assert story.version == version + 1

    def test_that_was_to_end_ends_with_its_period(self, story: Story) -> None:
        story.buys("monthly")
        story.post(f"subscriptions/{story.plan()['id']}", cancel_at_period_end="true")
        story.hear()
        end = story.access["monthly"]
        assert end
        version = story.version
        story.world.pass_time(end - story.world.now())
        story.world.sweep()
        assert story.purchase["status"] == "canceled"
        assert story.version == version + 1

    def test_ends_by_the_clock_while_stripe_is_away(self, story: Story, wire: Wire) -> None:
        story.buys("monthly")
        story.hear()
        until = story.access["monthly"]
        assert until
        story.world.pass_time(until - story.world.now())
        wire.inject("", be_down)
        swept = story.world.sweep()
        assert (swept["ended"], swept["postponed"]) == (1, 1)
        assert story.purchase["status"] == "ended"
        assert story.version == 3

    def test_that_was_paid_while_stripe_was_away_goes_on_when_it_is_back(self, story: Story, wire: Wire) -> None:
        """The clock ended it, since nobody could be asked; that must not be the last word."""
        story.buys("monthly")
        story.hear()
        story.world.pass_time(story.period_end() + GRACE - story.world.now())
        wire.inject("", be_down)
        story.world.sweep()
        story.world.pass_time(600)
        story.world.sweep()
        assert story.access == {}
        wire.mend()
        story.world.pass_time(600)
        story.world.sweep()
        assert story.access == {"monthly": story.period_end() + GRACE}


def test_a_pass_that_ended_by_the_clock_is_not_due_again(world: World) -> None:
    token = world.buy("ten_class_pass").json
    world.pay(token["url"])
    world.hear_everything()
    world.pass_time(182 * 86_400)
    assert world.sweep()["ended"] == 1
    assert list(world.services.table.due_access(now=world.now())) == []
    assert list(world.services.table.due_pages(now=world.now())) == []
