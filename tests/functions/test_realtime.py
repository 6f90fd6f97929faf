"""realtime: who may connect, how many at once and for how long, and what a tab can ask."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import boto3
import pytest
from paidup.edge.realtime import MOST_BYTES
from paidup.model.access import Access, PurchaseStatus
from paidup.model.account import MOST_ACCESS, Account
from paidup.model.connection import LIFETIME_S, MOST_CONNECTIONS
from paidup.model.offer import Kind

from tests.functions.sockets import Sockets
from tests.functions.story import Story
from tests.handlers import Answer, answer_of, request
from tests.world import World, changed


def slug(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json["type"].rpartition(":")[2]


class TestAToken:
    def test_opens_a_connection_that_speaks_our_protocol(self, sockets: Sockets, buyer: str) -> None:
        connection_id, answer = sockets.connect("paidup.v1", f"bearer.{sockets.token(buyer)}")

        assert answer == {"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": "paidup.v1"}}
        assert sockets.known(buyer) == {connection_id}

    def test_may_come_in_lines_of_its_own_under_any_spelling(self, sockets: Sockets, buyer: str) -> None:
        lines = {"sec-websocket-protocol": ["other", f"bearer.{sockets.token(buyer)}", "paidup.v1"]}

        _, answer = sockets.connect_with(lines)

        assert answer["statusCode"] == 200

    def test_is_needed(self, sockets: Sockets) -> None:
        assert slug(sockets.refused("paidup.v1")) == (401, "unauthorized")

    def test_is_not_looked_for_in_the_query(self, sockets: Sockets, buyer: str) -> None:
        query = {"token": sockets.token(buyer), "ticket": sockets.ticket(buyer)}

        _, answer = sockets.connect("paidup.v1", queryStringParameters=query)

        assert slug(answer_of(answer)) == (401, "unauthorized")

    def test_that_has_ended_opens_nothing(self, sockets: Sockets, world: World, buyer: str) -> None:
        token = sockets.token(buyer, expires_in=60)
        world.pass_time(60)

        assert slug(sockets.refused("paidup.v1", f"bearer.{token}")) == (401, "invalid-token")
        assert sockets.known(buyer) == set()

    def test_that_was_forged_opens_nothing(self, sockets: Sockets, buyer: str) -> None:
        head, _, signature = sockets.token(buyer).split(".")
        _, others, _ = sockets.token("eve").split(".")

        assert slug(sockets.refused("paidup.v1", f"bearer.{head}.{others}.{signature}")) == (401, "invalid-token")

    def test_that_cannot_be_checked_is_an_outage(
        self, sockets: Sockets, buyer: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PAIDUP_IDENTITY_JWKS_URL", "http://127.0.0.1:9/keys")

        refused = sockets.refused("paidup.v1", f"bearer.{sockets.token(buyer)}")

        assert slug(refused) == (503, "identity-unavailable")


class TestAPage:
    @pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:8787.evil.example"])
    def test_of_a_foreign_origin_may_not_connect(self, sockets: Sockets, buyer: str, origin: str) -> None:
        refused = sockets.refused("paidup.v1", f"bearer.{sockets.token(buyer)}", origin=origin)

        assert slug(refused) == (403, "origin-refused")
        assert sockets.known(buyer) == set()

    def test_of_a_foreign_origin_uses_up_no_ticket(self, sockets: Sockets, buyer: str) -> None:
        ticket = sockets.ticket(buyer)

        sockets.refused("paidup.v1", f"ticket.{ticket}", origin="https://evil.example")

        assert sockets.connect("paidup.v1", f"ticket.{ticket}")[1]["statusCode"] == 200

    def test_is_not_needed_by_an_app_or_a_backend(self, sockets: Sockets, buyer: str) -> None:
        _, answer = sockets.connect("paidup.v1", f"bearer.{sockets.token(buyer)}", origin=None)

        assert answer["statusCode"] == 200

    def test_must_speak_our_protocol(self, sockets: Sockets, buyer: str) -> None:
        assert slug(sockets.refused(f"bearer.{sockets.token(buyer)}")) == (400, "protocol-missing")


class TestATicket:
    def test_opens_one_connection_of_its_customer(self, sockets: Sockets, buyer: str) -> None:
        ticket = sockets.ticket(buyer)

        connection_id, opened = sockets.connect("paidup.v1", f"ticket.{ticket}")

        assert opened["statusCode"] == 200
        assert sockets.known(buyer) == {connection_id}
        assert slug(sockets.refused("paidup.v1", f"ticket.{ticket}")) == (401, "invalid-token")

    def test_of_another_opens_nothing_of_ones_own(self, sockets: Sockets, world: World, story: Story) -> None:
        """A ticket that somebody else got hold of speaks for its customer, as their token would."""
        story.buys("day_pass")
        story.hear()
        stranger = world.customer()

        connection_id, _ = sockets.connect("paidup.v1", f"ticket.{sockets.ticket(stranger)}")

        assert sockets.since(connection_id)["access"] == []
        assert sockets.known(story.buyer) == set()

    @pytest.mark.parametrize("ticket_first", [True, False])
    def test_of_another_is_refused_beside_ones_own_token(
        self, sockets: Sockets, world: World, buyer: str, ticket_first: bool
    ) -> None:
        stranger = world.customer()
        both = [f"ticket.{sockets.ticket(stranger)}", f"bearer.{sockets.token(buyer)}"]

        refused = sockets.refused("paidup.v1", *(both if ticket_first else reversed(both)))

        assert slug(refused) == (401, "invalid-token")
        assert (sockets.known(buyer), sockets.known(stranger)) == (set(), set())

    def test_is_given_to_one_of_many_at_once(self, sockets: Sockets, buyer: str) -> None:
        ticket = sockets.ticket(buyer)

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: sockets.connect("paidup.v1", f"ticket.{ticket}")[1], range(8)))

        assert sorted(answer["statusCode"] for answer in answers) == [200, *[401] * 7]

    def test_holds_for_a_minute(self, sockets: Sockets, world: World, buyer: str) -> None:
        answer = sockets.ask_for_ticket(buyer)
        assert answer.json["expires_at"] == world.now() + 60
        world.pass_time(60)

        assert slug(sockets.refused("paidup.v1", f"ticket.{answer.json['ticket']}")) == (401, "invalid-token")

    def test_opens_what_ends_with_the_token_that_it_was_asked_for_with(
        self, sockets: Sockets, world: World, buyer: str
    ) -> None:
        connection_id, _ = sockets.connect("paidup.v1", f"ticket.{sockets.ticket(buyer, token_ends_in=100)}")
        world.pass_time(100)

        assert sockets.say(connection_id, {"action": "ping"}) is None
        assert sockets.gateway.closed == [connection_id]

    def test_is_stored_as_a_digest(self, sockets: Sockets, buyer: str) -> None:
        ticket = sockets.ticket(buyer)

        stored = boto3.client("dynamodb").scan(TableName=sockets.world.services.table.name)["Items"]

        (item,) = [item for item in stored if item["pk"]["S"].startswith("TICKET#") and buyer in str(item)]
        assert ticket not in str(item)
        assert item["purge_at"] == item["expires_at"]

    def test_is_given_to_who_is_signed_in(self, sockets: Sockets, buyer: str) -> None:
        assert request("POST /realtime-tickets").status == 401
        assert slug(sockets.ask_for_ticket(buyer, token_ends_in=0)) == (401, "invalid-token")


class TestATab:
    def test_that_knows_nothing_gets_the_account(self, sockets: Sockets, story: Story) -> None:
        story.buys("day_pass")
        story.hear()
        tab = sockets.opened(story.buyer)

        said = sockets.since(tab)

        (access,) = story.account["access"]
        fields = ("purchase_id", "offer_id", "kind", "status", "quantity", "until")
        expected = {"type": "billing.changed", "billing_version": 1, "access": [{one: access[one] for one in fields}]}
        assert said == expected
        assert sockets.since(tab, 0) == expected

    @pytest.mark.parametrize("ahead", [0, 5])
    def test_that_knows_all_is_told_so(self, sockets: Sockets, story: Story, ahead: int) -> None:
        story.buys("day_pass")
        story.hear()
        tab = sockets.opened(story.buyer)

        assert sockets.since(tab, 1 + ahead) == {"type": "billing.unchanged", "billing_version": 1}

    def test_may_ping(self, sockets: Sockets, buyer: str) -> None:
        assert sockets.say(sockets.opened(buyer), {"action": "ping"}) == {"type": "pong"}

    @pytest.mark.parametrize(
        ("message", "refused"),
        [
            ("", "broken-json"),
            ("junk", "broken-json"),
            ("[" * 100_000, "broken-json"),
            ("9" * 10_000, "broken-json"),
            ("[]", "broken-json"),
            ("{}", "malformed"),
            ({"action": "delete"}, "malformed"),
            ({"action": ["since"]}, "malformed"),
            ({"action": "since"}, "malformed"),
            ({"action": "since", "billing_version": "1"}, "malformed"),
            ({"action": "since", "billing_version": True}, "malformed"),
            ({"action": "since", "billing_version": 1.5}, "malformed"),
        ],
    )
    def test_that_says_something_else_is_told_what_is_wrong(
        self, sockets: Sockets, buyer: str, message: Any, refused: str
    ) -> None:
        said = sockets.say(sockets.opened(buyer), message)

        assert (said["type"], said["slug"]) == ("error", refused)
        assert said["detail"]

    def test_whose_token_has_ended_is_closed_when_it_is_heard(self, sockets: Sockets, world: World, buyer: str) -> None:
        tab = sockets.opened(buyer, expires_in=600)
        world.pass_time(599)
        assert sockets.say(tab, {"action": "ping"}) == {"type": "pong"}
        world.pass_time(1)

        assert sockets.since(tab) is None
        assert sockets.gateway.closed == [tab]
        assert sockets.known(buyer) == set()

    def test_ends_after_two_hours_however_long_its_token_holds(
        self, sockets: Sockets, world: World, buyer: str
    ) -> None:
        tab = sockets.opened(buyer, expires_in=10 * LIFETIME_S)
        world.pass_time(LIFETIME_S)

        assert sockets.since(tab) is None

    def test_that_nobody_knows_is_closed(self, sockets: Sockets) -> None:
        assert sockets.since("nobody=") is None
        assert sockets.gateway.closed == ["nobody="]

    def test_that_cannot_be_closed_is_closed_the_next_time(self, sockets: Sockets, world: World, buyer: str) -> None:
        tab = sockets.opened(buyer, expires_in=60)
        world.pass_time(60)
        sockets.gateway.failing = {tab}
        assert sockets.since(tab) is None
        sockets.gateway.failing = set()

        assert sockets.since(tab) is None
        assert sockets.gateway.closed == [tab]

    def test_that_leaves_is_forgotten(self, sockets: Sockets, buyer: str) -> None:
        tab, other = sockets.opened(buyer), sockets.opened(buyer)

        sockets.leave(tab)
        sockets.leave(tab)

        assert sockets.known(buyer) == {other}
        assert sockets.gateway.closed == []


class TestManyTabs:
    def test_are_fifty_at_most_and_the_oldest_is_closed(self, sockets: Sockets, world: World, buyer: str) -> None:
        first = sockets.opened(buyer)
        world.pass_time(1)
        others = [sockets.opened(buyer) for _ in range(MOST_CONNECTIONS - 1)]
        assert sockets.gateway.closed == []

        newest = sockets.opened(buyer)

        assert sockets.gateway.closed == [first]
        assert sockets.known(buyer) == {*others, newest}

    def test_of_ended_tokens_make_room_first(self, sockets: Sockets, world: World, buyer: str) -> None:
        ended = sockets.opened(buyer, expires_in=60)
        world.pass_time(60)

        newest = sockets.opened(buyer)

        assert sockets.gateway.closed == [ended]
        assert sockets.known(buyer) == {newest}


def filled(world: World, buyer: str, offer_length: int) -> Account:
    """Give the buyer as much access as an account can list, to offers with names of that length."""
    access = tuple(
        Access(
            purchase_id=f"co_{n:024d}",
            offer_id="o" * offer_length,
            kind=Kind.LIVE_SESSION,
            status=PurchaseStatus.PAST_DUE,
            until=world.now() + 60,
        )
        for n in range(MOST_ACCESS)
    )
    table = world.services.table
    before = table.account(buyer)
    return table.commit(changed(before, replace(before, access=access, billing_version=1), now=world.now()))


class TestAMessage:
    def test_of_a_whole_account_fits_a_frame(self, sockets: Sockets, world: World, buyer: str) -> None:
        filled(world, buyer, 20)

        said = sockets.since(sockets.opened(buyer))

        assert len(said["access"]) == MOST_ACCESS
        assert "truncated" not in said

    def test_that_would_not_fit_a_frame_is_cut(self, sockets: Sockets, world: World, buyer: str) -> None:
        account = filled(world, buyer, 100)

        said = sockets.since(sockets.opened(buyer))

        assert said["truncated"] is True
        assert [one["purchase_id"] for one in said["access"]] == [
            one.purchase_id for one in account.access[: len(said["access"])]
        ]
        assert MOST_BYTES * 0.9 < len(json.dumps(said, separators=(",", ":"))) <= MOST_BYTES

    def test_of_an_account_that_lists_not_all_says_so(self, sockets: Sockets, world: World, buyer: str) -> None:
        table = world.services.table
        before = table.account(buyer)
        table.commit(changed(before, replace(before, access_cut=True, billing_version=1), now=world.now()))

        assert sockets.since(sockets.opened(buyer))["truncated"] is True
