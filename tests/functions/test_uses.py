"""Passes with uses: hosts take uses, each once, never more than there are, and give them back within a day."""

from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from paidup.flows.move import move
from paidup.model.offer import Kind, Offer

from tests.functions.story import Story
from tests.handlers import Answer, request
from tests.world import OFFERS, World

DAY = 86_400
HOST = "mia"
CLASSES = Offer(offer_id="three_classes", name="Three classes", kind=Kind.PASS, amount=4_500, currency="eur", uses=3)


@pytest.fixture(autouse=True)
def classes(world: World) -> None:
    world.services.table.put_offer(CLASSES)
    world.services.table.put_offer(replace(CLASSES, offer_id="ninety_days", valid_days=90))


@pytest.fixture
def bought(story: Story) -> Story:
    """A buyer who has three classes."""
    story.buys("three_classes")
    story.hear("checkout.session.completed")
    return story


def take(
    purchase: str, count: int | None = None, *, key: str | None = None, who: str = HOST, roles: str = "host"
) -> Answer:
    return request(
        f"POST /purchases/{purchase}/uses",
        customer=who,
        roles=roles,
        body={} if count is None else {"count": count},
        headers={"Idempotency-Key": key},
    )


def give_back(purchase: str, use: str, *, who: str = HOST, roles: str = "host") -> Answer:
    return request(f"DELETE /purchases/{purchase}/uses/{use}", customer=who, roles=roles)


def give_to(story: Story, source: str, target: str) -> None:
    """Let support move everything of *source* to *target*."""
    move(source, target, story.world.services, reason="two ids", by="eve", now=story.world.now())


def id_of(story: Story) -> str:
    return str(story.token["checkout_id"])


def left(story: Story) -> tuple[Any, ...]:
    """Return what the buyer's account says of the uses, in the purchase and in the access (None: there is none)."""
    access = [one["uses_left"] for one in story.account["access"]]
    return story.purchase["status"], story.purchase["uses"], story.purchase["uses_left"], *(access or (None,))


class TestTaking:
    def test_shows_what_is_left_in_purchase_and_access(self, bought: Story) -> None:
        assert left(bought) == ("active", 3, 3, 3)

        found = take(id_of(bought))

        assert found.status == 201, found.text
        assert (found.json["uses"], found.json["uses_left"], found.json["count"]) == (3, 2, 1)
        assert (found.json["status"], found.json["taken_at"]) == ("active", bought.world.now())
        assert left(bought) == ("active", 3, 2, 2)

    def test_moves_the_billing_version_only_when_access_ends(self, bought: Story) -> None:
        versions = []
        for _ in range(3):
            assert take(id_of(bought)).status == 201
            versions.append(bought.version)

        assert versions == [1, 1, 2]
        assert left(bought) == ("ended", 3, 0, None)

    def test_takes_several_at_once(self, bought: Story) -> None:
        assert take(id_of(bought), 2).json["uses_left"] == 1

    def test_as_many_as_were_bought_of_each(self, story: Story) -> None:
        story.buys("three_classes", quantity=4)
        story.hear("checkout.session.completed")

        assert take(id_of(story), 5).json["uses_left"] == 7
        assert left(story) == ("active", 12, 7, 7)

    def test_by_another_backend(self, bought: Story) -> None:
        assert take(id_of(bought), who="gate-backend", roles="service").status == 201

    def test_is_told_on_the_timeline(self, bought: Story) -> None:
        take(id_of(bought))

        timeline = bought.world.status(id_of(bought), customer=bought.buyer)["timeline"]

        assert [one["what"] for one in timeline][-1] == "1 use taken: 2 of 3 left"
        assert timeline[-1]["channel"] == "request"

    def test_a_body_may_be_left_out(self, bought: Story) -> None:
        found = request(f"POST /purchases/{id_of(bought)}/uses", customer=HOST, roles="host", raw="")

        assert (found.status, found.json["count"]) == (201, 1)


class TestTheSameKey:
    def test_takes_once(self, bought: Story) -> None:
        first, again = take(id_of(bought), 2, key="door-1"), take(id_of(bought), 2, key="door-1")

        assert (first.status, again.status) == (201, 200)
        assert first.json == again.json
        assert left(bought) == ("active", 3, 1, 1)

    def test_takes_the_last_use_once(self, bought: Story) -> None:
        take(id_of(bought), 2)

        found = [take(id_of(bought), key="last") for _ in range(3)]

        assert [one.status for one in found] == [201, 200, 200]
        assert left(bought) == ("ended", 3, 0, None)

    def test_is_refused_for_another_count(self, bought: Story) -> None:
        take(id_of(bought), 1, key="door-1")

        found = take(id_of(bought), 2, key="door-1")

        assert (found.status, found.json["field"]) == (422, "Idempotency-Key")
        assert left(bought) == ("active", 3, 2, 2)

    def test_takes_from_each_purchase(self, bought: Story) -> None:
        first = id_of(bought)
        bought.buys("three_classes")
        bought.hear("checkout.session.completed")

        found = [take(an_id, key="door-1") for an_id in (first, id_of(bought))]

        assert [one.status for one in found] == [201, 201]


class TestNothingIsTaken:
    def test_when_nothing_is_left(self, bought: Story) -> None:
        take(id_of(bought), 3)

        found = take(id_of(bought))

        assert (found.status, found.json["type"]) == (409, "urn:paidup:problem:not-enough-uses")
        assert "0 uses left" in found.json["detail"]
        assert left(bought) == ("ended", 3, 0, None)

    def test_when_less_is_left_than_is_asked_for(self, bought: Story) -> None:
        found = take(id_of(bought), 4)

        assert (found.status, found.json["type"]) == (409, "urn:paidup:problem:not-enough-uses")
        assert left(bought) == ("active", 3, 3, 3)

    def test_when_the_money_went_back(self, bought: Story) -> None:
        intent = bought.session()["payment_intent"]["id"]
        bought.post("refunds", payment_intent=intent)
        bought.hear("charge.refunded")

        found = take(id_of(bought))

        assert (found.status, found.json["type"]) == (409, "urn:paidup:problem:not-usable")

    def test_when_the_time_is_over(self, story: Story) -> None:
        story.buys("ninety_days")
        story.hear("checkout.session.completed")
        story.world.pass_time(92 * DAY)

        found = take(id_of(story))

        assert (found.status, found.json["type"]) == (409, "urn:paidup:problem:not-usable")

    def test_by_the_customer(self, bought: Story) -> None:
        found = take(id_of(bought), who=bought.buyer, roles="customer")

        assert found.status == 403
        assert left(bought) == ("active", 3, 3, 3)

    def test_from_a_pass_whose_uses_are_not_counted(self, story: Story) -> None:
        story.buys("day_pass")
        story.hear("checkout.session.completed")

        assert take(id_of(story)).status == 404
        assert (story.purchase["uses"], story.purchase["uses_left"]) == (None, None)

    def test_from_nothing(self, world: World) -> None:
        assert take("co_nothing").status == 404

    @pytest.mark.parametrize("count", [0, -1, 1_001, "1", True, 1.5])
    def test_by_a_count_that_is_none(self, bought: Story, count: Any) -> None:
        found = take(id_of(bought), count)

        assert (found.status, found.json["field"]) == (422, "count")


class TestGivingBack:
    def test_gives_the_use_back_once(self, bought: Story) -> None:
        use = take(id_of(bought), 2).json["use_id"]

        found = [give_back(id_of(bought), use) for _ in range(2)]

        assert [one.status for one in found] == [200, 200]
        assert found[0].json == found[1].json
        assert (found[0].json["uses_left"], found[0].json["taken_back_at"]) == (3, bought.world.now())
        assert left(bought) == ("active", 3, 3, 3)

    def test_gives_access_back(self, bought: Story) -> None:
        use = take(id_of(bought), 3).json["use_id"]
        assert left(bought) == ("ended", 3, 0, None)

        give_back(id_of(bought), use)

        assert left(bought) == ("active", 3, 3, 3)
        assert bought.version == 3

    def test_is_possible_for_a_day(self, bought: Story) -> None:
        use = take(id_of(bought)).json["use_id"]
        bought.world.pass_time(DAY)

        assert give_back(id_of(bought), use).status == 200

    def test_is_too_late_after_a_day(self, bought: Story) -> None:
        use = take(id_of(bought)).json["use_id"]
        bought.world.pass_time(DAY + 1)

        found = give_back(id_of(bought), use)

        assert (found.status, found.json["type"]) == (409, "urn:paidup:problem:too-late")
        assert left(bought) == ("active", 3, 2, 2)

    def test_lets_the_same_key_take_nothing_more(self, bought: Story) -> None:
        use = take(id_of(bought), key="door-1").json["use_id"]
        back = give_back(id_of(bought), use)

        again = take(id_of(bought), key="door-1")

        assert (again.status, again.json) == (200, back.json)
        assert left(bought) == ("active", 3, 3, 3)

    def test_is_not_for_customers(self, bought: Story) -> None:
        use = take(id_of(bought)).json["use_id"]

        assert give_back(id_of(bought), use, who=bought.buyer, roles="customer").status == 403

    def test_of_a_use_that_was_never_taken(self, bought: Story) -> None:
        assert give_back(id_of(bought), "use_never").status == 404
        assert give_back("co_nothing", "use_never").status == 404


class TestAMovedPass:
    """Its id still leads to it, although the row of its owner names its first customer."""

    @pytest.fixture
    def heir(self, world: World) -> str:
        """The customer who gets everything."""
        return world.customer()

    def test_is_used_by_its_new_customer(self, bought: Story, heir: str) -> None:
        take(id_of(bought))
        give_to(bought, bought.buyer, heir)

        found = take(id_of(bought), 2, key="door-1")

        assert (found.status, found.json["uses_left"]) == (201, 0)
        (access,) = bought.world.account(customer=heir)["purchases"]
        assert (access["status"], access["uses_left"]) == ("ended", 0)

    def test_takes_under_the_same_key_what_was_taken_before_the_move(self, bought: Story, heir: str) -> None:
        first = take(id_of(bought), key="door-1")
        give_to(bought, bought.buyer, heir)

        again = take(id_of(bought), key="door-1")

        assert (again.status, again.json) == (200, first.json)

    def test_gets_back_what_was_taken_before_the_move(self, bought: Story, heir: str) -> None:
        use = take(id_of(bought), 2).json["use_id"]
        give_to(bought, bought.buyer, heir)

        assert give_back(id_of(bought), use).json["uses_left"] == 3

    def test_may_come_back(self, bought: Story, heir: str) -> None:
        give_to(bought, bought.buyer, heir)
        give_to(bought, heir, bought.buyer)

        assert take(id_of(bought)).status == 201
        assert left(bought) == ("active", 3, 2, 2)

    def test_is_found_if_it_moves_while_it_is_used(self, bought: Story, heir: str) -> None:
        events = bought.world.services.table.client.meta.events

        def move_first(**_: Any) -> None:
            events.unregister("before-call.dynamodb.TransactWriteItems", move_first)
            give_to(bought, bought.buyer, heir)

        events.register("before-call.dynamodb.TransactWriteItems", move_first)

        assert take(id_of(bought)).json["uses_left"] == 2


class TestWhatIsKept:
    def test_an_owner_without_a_purchase_has_nothing_to_use(self, story: Story) -> None:
        """The owner is written first: the function may die before the purchase is."""
        story.buys("three_classes")
        events = story.world.services.table.client.meta.events

        def away(**_: Any) -> None:
            raise EndpointConnectionError(endpoint_url="the table's")

        events.register("before-call.dynamodb.TransactWriteItems", away)
        try:
            (event,) = story.news("checkout.session.completed")
            assert story.world.deliver(event).json == {"received": "queued"}
        finally:
            events.unregister("before-call.dynamodb.TransactWriteItems", away)
        assert story.world.services.table.purchase_owner(id_of(story)) == story.buyer
        assert take(id_of(story)).status == 404

        assert story.world.work_queue() == []
        assert take(id_of(story)).status == 201

    def test_a_pass_without_uses_costs_no_row_more(self, world: World, story: Story) -> None:
        story.buys(OFFERS[0].offer_id)
        story.hear("checkout.session.completed")

        assert world.services.table.purchase_owner(id_of(story)) is None

    def test_uses_are_known_again_if_only_stripe_knows_the_sale(self, world: World, bought: Story) -> None:
        """The metadata says how many uses were sold."""
        metadata = bought.session()["payment_intent"]["metadata"]

        assert metadata["uses"] == "3"
