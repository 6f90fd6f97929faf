"""members, behind the gate: access follows the money, and nothing but our own good token lets anybody in."""

import hashlib
import hmac
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from paidup.outside.dynamo import access

from tests.alarms import rings
from tests.emf import samples, values
from tests.functions.billing import JWKS, Issuer, ask_members, encoded, issued, parts
from tests.functions.clocks import Uptime
from tests.functions.story import Story
from tests.functions.test_billing_token import day, give
from tests.functions.wire import Exchange, Wire, be_down, lose_the_request, wire_to
from tests.handlers import Answer, request
from tests.world import World

pytestmark = [pytest.mark.ministack, pytest.mark.usefixtures("issuer", "uptime")]
TABLE = "POST /"


@pytest.fixture
def to_table(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """The wire between the gate and the table."""
    with wire_to(os.environ["AWS_ENDPOINT_URL"]) as made, monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_DYNAMODB", made.url)
        access.connect.cache_clear()
        yield made
    access.connect.cache_clear()


def assert_refused(answer: Answer, status: int, kind: str) -> Any:
    """Check that *answer* is this problem, and return it."""
    assert (answer.status, answer.json["type"]) == (status, f"urn:paidup:problem:{kind}"), answer.text
    return answer.json


def counted(capsys: pytest.CaptureFixture[str], name: str) -> list[dict[str, Any]]:
    """Return what was counted as *name* since the test began or since it was asked last."""
    lines = capsys.readouterr().out.splitlines()
    return [found for line in lines if line.startswith('{"_aws"') and name in (found := json.loads(line))]


class TestAMember:
    def test_is_let_in_by_what_was_paid_for(self, world: World, story: Story) -> None:
        story.buys("ten_class_pass")
        story.hear()

        answer = ask_members(issued(story.buyer)["token"])

        assert answer.status == 200, answer.text
        assert answer.headers["cache-control"] == "no-store"
        assert answer.json == {
            "customer_id": story.buyer,
            "billing_version": story.version,
            "access": story.account["access"],
        }

    def test_is_let_in_with_the_token_of_before_the_payment(self, world: World, story: Story, uptime: Uptime) -> None:
        empty = issued(story.buyer)["token"]
        assert_refused(ask_members(empty), 403, "access-required")
        story.buys("ten_class_pass")
        story.hear()

        uptime.now += 1

        assert parts(empty)[1]["billing"]["access"] == []
        assert ask_members(empty).status == 200

    def test_is_shut_out_within_a_second_of_a_refund_whatever_the_token_says(
        self, world: World, story: Story, uptime: Uptime
    ) -> None:
        story.buys("ten_class_pass")
        story.hear()
        token = issued(story.buyer)["token"]
        assert ask_members(token).status == 200
        story.post("refunds", payment_intent=story.session()["payment_intent"]["id"])
        story.hear()

        uptime.now += 1

        assert parts(token)[1]["billing"]["access"] != []
        assert_refused(ask_members(token), 403, "access-required")

    def test_is_shut_out_when_a_subscription_is_cancelled_at_once(
        self, world: World, story: Story, uptime: Uptime
    ) -> None:
        story.buys("monthly")
        story.hear()
        token = issued(story.buyer)["token"]
        assert ask_members(token).status == 200
        story.world.stripe.v1.subscriptions.cancel(story.plan()["id"])
        story.hear()

        uptime.now += 1

        assert_refused(ask_members(token), 403, "access-required")

    def test_is_shut_out_by_the_clock_though_nobody_wrote_anything(self, world: World, buyer: str) -> None:
        give(world, buyer, day(1, until=world.now() + 100))
        token = issued(buyer)["token"]
        world.pass_time(99)
        assert ask_members(token).status == 200

        world.pass_time(1)

        assert_refused(ask_members(token), 401, "invalid-billing-token")
        assert_refused(ask_members(issued(buyer)["token"]), 403, "access-required")

    def test_needs_the_offer_that_is_asked_for(self, world: World, buyer: str) -> None:
        give(world, buyer, day(1, until=None))
        token = issued(buyer)["token"]

        assert ask_members(token, offer_id="day_pass").status == 200
        problem = assert_refused(ask_members(token, offer_id="monthly"), 403, "access-required")
        assert problem["offer_id"] == "monthly"
        assert "POST /payment-tokens" in problem["next"]

    def test_is_let_in_by_what_the_token_had_no_room_for(self, world: World, buyer: str) -> None:
        end = world.now() + 5_000
        give(world, buyer, *(day(n, until=end + n, offer_id=f"offer_{n}") for n in range(200)))
        found = issued(buyer)

        named = {one["offer_id"] for one in parts(found["token"])[1]["billing"]["access"]}
        assert found["truncated"]
        assert "offer_0" not in named
        assert ask_members(found["token"], offer_id="offer_0").status == 200


class TestWhatAGateReads:
    def test_is_one_small_read_in_half_a_second_for_a_customer(
        self, world: World, buyer: str, to_table: Wire, uptime: Uptime
    ) -> None:
        give(world, buyer, day(1, until=None))
        token = issued(buyer)["token"]

        for _ in range(4):
            assert ask_members(token).status == 200
            uptime.now += 0.125
        assert len(to_table.asked) == 1

        assert ask_members(token).status == 200
        assert len(to_table.asked) == 2

    def test_is_one_more_before_it_denies_and_not_more_than_that_in_half_a_second(
        self, world: World, buyer: str, to_table: Wire, uptime: Uptime
    ) -> None:
        token = issued(buyer)["token"]

        for _ in range(5):
            assert ask_members(token).status == 403
        assert len(to_table.asked) == 2

        give(world, buyer, day(1, until=None))
        uptime.now += 1
        assert ask_members(token).status == 200

    def test_is_nothing_for_a_token_that_is_not_good(self, world: World, buyer: str, to_table: Wire) -> None:
        assert ask_members(issued(buyer)["token"][:-4] + "AAAA").status == 401

        assert to_table.asked == []


class TestWhileTheTableIsAway:
    @pytest.mark.parametrize("trouble", [be_down, lose_the_request], ids=["is down", "does not answer"])
    def test_what_the_token_says_holds_until_it_ends_and_operators_are_told(
        self, world: World, buyer: str, to_table: Wire, capsys: pytest.CaptureFixture[str], trouble: Any
    ) -> None:
        give(world, buyer, day(1, until=None))
        token = issued(buyer)["token"]
        to_table.inject(TABLE, trouble)

        answer = ask_members(token, offer_id="day_pass")

        assert answer.status == 200, answer.text
        (one,) = answer.json["access"]
        assert (one["offer_id"], one["until"], one["purchase_id"]) == ("day_pass", None, None)
        found = samples(capsys.readouterr().out)
        assert values(found, "GateTableUnreachable") == [1.0]
        assert not rings("GateBlindAlarm", found * 4)
        assert rings("GateBlindAlarm", found * 5)
        assert_refused(ask_members(token, offer_id="monthly"), 403, "access-required")
        world.pass_time(900)
        assert_refused(ask_members(token), 401, "invalid-billing-token")

    def test_nobody_waits_for_it_more_often_than_once_a_second(
        self, world: World, buyer: str, to_table: Wire, uptime: Uptime
    ) -> None:
        give(world, buyer, day(1, until=None))
        token = issued(buyer)["token"]
        to_table.inject(TABLE, be_down)
        assert ask_members(token).status == 200
        asked = len(to_table.asked)

        for _ in range(5):
            assert ask_members(token).status == 200
        assert len(to_table.asked) == asked

        to_table.mend()
        uptime.now += 1
        assert ask_members(token).json["access"][0]["purchase_id"] == "co_1"

    def test_what_a_token_had_no_room_for_is_an_outage_and_no_refusal(
        self, world: World, buyer: str, to_table: Wire
    ) -> None:
        end = world.now() + 5_000
        give(world, buyer, *(day(n, until=end + n, offer_id=f"offer_{n}") for n in range(200)))
        token = issued(buyer)["token"]
        to_table.inject(TABLE, be_down)

        assert ask_members(token, offer_id="offer_199").status == 200
        answer = ask_members(token, offer_id="offer_0")
        assert_refused(answer, 503, "access-unknown")
        assert answer.headers["retry-after"] == "5"

    def test_a_table_that_may_not_be_read_is_no_outage(self, world: World, buyer: str, to_table: Wire) -> None:
        token = issued(buyer)["token"]
        to_table.inject(TABLE, deny)

        with pytest.raises(Exception, match="AccessDenied"):
            ask_members(token)


def deny(exchange: Exchange) -> None:
    """Answer that the function's role may not read the table."""
    exchange.answer(400, [("Content-Type", "application/x-amz-json-1.0")], b'{"__type": "AccessDeniedException"}')


class TestAToken:
    @pytest.fixture
    def good(self, world: World, buyer: str) -> str:
        """A token of a customer who may use something."""
        give(world, buyer, day(1, until=None))
        return str(issued(buyer)["token"])

    def test_is_asked_for_by_name_if_there_is_none(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        answer = ask_members(None)

        problem = assert_refused(answer, 401, "invalid-billing-token")
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "POST /billing-token" in problem["next"]
        (one,) = counted(capsys, "GateDenied")
        assert one["reason"] == "invalid-billing-token"

    def test_that_is_not_good_is_told_why(self, world: World, good: str) -> None:
        world.pass_time(900)

        answer = ask_members(good)

        challenge = 'Bearer error="invalid_token", error_description="The billing token has expired."'
        assert answer.headers["www-authenticate"] == challenge
        assert answer.json["detail"] == "The billing token has expired."

    @pytest.mark.parametrize(("seconds", "status"), [(-30, 200), (-31, 401), (899, 200), (900, 401)])
    def test_may_be_issued_by_a_clock_that_runs_ahead_a_little(
        self, world: World, good: str, seconds: int, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "clock").write_text(f"={world.now() + seconds}")
        monkeypatch.setenv("PAIDUP_CLOCK_FILE", str(tmp_path / "clock"))

        assert ask_members(good).status == status

    def test_of_the_identity_provider_lets_nobody_in(self, world: World, buyer: str) -> None:
        other = world.http.post(f"{world.fakes.issuer}/token", json={"sub": buyer, "roles": ["customer"]})

        assert_refused(ask_members(other.raise_for_status().json()["token"]), 401, "invalid-billing-token")

    @pytest.mark.parametrize("changed", [{"iss": "https://other.example"}, {"aud": "other"}, {"aud": ["paidup"]}])
    def test_for_somebody_else_lets_nobody_in(
        self, world: World, good: str, monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any]
    ) -> None:
        ours = {"iss": "PAIDUP_BILLING_ISSUER", "aud": "PAIDUP_BILLING_AUDIENCE"}
        ((claim, other),) = changed.items()
        with monkeypatch.context() as elsewhere:
            elsewhere.setenv(ours[claim], str(other))
            theirs = issued("customer-of-another-api")["token"]

        assert_refused(ask_members(theirs), 401, "invalid-billing-token")

    def test_signed_with_another_algorithm_or_key_lets_nobody_in(self, world: World, good: str) -> None:
        header, claims, signature = parts(good)
        (key,) = request(f"GET {JWKS}").json["keys"]
        public = jwt.PyJWK(key).key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        strangers = ed25519.Ed25519PrivateKey.generate()
        own = jwt.algorithms.OKPAlgorithm.to_jwk(strangers.public_key(), as_dict=True)

        def by_hand(header: dict[str, Any], sign: Any) -> str:
            text = f"{encoded(header)}.{encoded(claims)}"
            return f"{text}.{encoded(sign(text.encode()))}"

        def by_hmac(text: bytes) -> bytes:
            return hmac.digest(public, text, hashlib.sha256)

        forged = [
            by_hand({**header, "alg": "none"}, lambda _: b""),
            by_hand({**header, "alg": "none"}, lambda _: signature),
            by_hand({**header, "alg": "HS256"}, by_hmac),
            by_hand({**header, "alg": "ES256"}, strangers.sign),
            by_hand({**header, "alg": "eddsa"}, lambda _: signature),
            by_hand({"alg": "EdDSA", "typ": "JWT"}, strangers.sign),
            by_hand(header, strangers.sign),
            by_hand({**header, "kid": "swapped"}, strangers.sign),
            by_hand({**header, "jwk": own}, strangers.sign),
            by_hand({**header, "crit": ["exp"]}, lambda _: signature),
            *(by_hand({**header, "kid": kid}, lambda _: signature) for kid in (None, 7, ["x"], {"x": 1}, "")),
        ]

        for token in forged:
            assert_refused(ask_members(token), 401, "invalid-billing-token")
        assert ask_members(good).status == 200

    @pytest.mark.parametrize(
        "garbage", ["x", "..", "a.b", "a.b.c.d", "é.é.é", "e30.e30.e30", "W10.W10.e30", "bnVsbA.e30.", "A" * 8_000]
    )
    def test_of_garbage_lets_nobody_in(self, world: World, garbage: str) -> None:
        assert_refused(ask_members(garbage), 401, "invalid-billing-token")

    def test_over_four_kilobytes_is_not_even_read(self, world: World, good: str, issuer: Issuer) -> None:
        answer = ask_members(good + "A" * 4_096)

        assert assert_refused(answer, 401, "invalid-billing-token")["detail"] == "The billing token is too large."
        assert issuer.asked == 0

    def test_changed_in_any_of_two_thousand_ways_lets_nobody_in(
        self, world: World, good: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        random_ = random.Random(2_000)  # noqa: S311 - the same mutants each time
        let_in = [
            mutant for mutant in (mutated(good, random_) for _ in range(2_000)) if ask_members(mutant).status < 401
        ]

        assert let_in == []
        assert ask_members(good).status == 200


LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=.+/ "


def mutated(token: str, random_: random.Random) -> str:
    """Return *token* with letters changed, lost, added or swapped, or with claims changed under its signature."""
    while True:
        place = random_.randrange(len(token))
        match random_.randrange(6):
            case 0:
                mutant = token[:place] + random_.choice(LETTERS) + token[place + 1 :]
            case 1:
                mutant = token[:place] + token[place + 1 :]
            case 2:
                mutant = token[:place] + random_.choice(LETTERS) + token[place:]
            case 3:
                other = random_.randrange(len(token))
                letters = list(token)
                letters[place], letters[other] = letters[other], letters[place]
                mutant = "".join(letters)
            case 4:  # the last letters of each part hold bits that a careless reader drops
                part = random_.choice([n for n, letter in enumerate(token + ".") if letter == "."]) - 1
                mutant = token[:part] + random_.choice(LETTERS) + token[part + 1 :]
            case _:
                header, claims, signature = parts(token)
                claims["billing"]["version"] += random_.randrange(1, 99)
                claims[random_.choice(("sub", "iss", "aud"))] += random_.choice(("", "x"))
                claims["exp"] += random_.randrange(9_999)
                mutant = f"{encoded(header)}.{encoded(claims)}.{encoded(signature)}"
        if mutant.strip() != token:
            return mutant


class TestTheKeys:
    @pytest.fixture
    def token(self, world: World, buyer: str) -> str:
        give(world, buyer, day(1, until=None))
        return str(issued(buyer)["token"])

    def test_are_fetched_once_for_many_tokens(self, world: World, token: str, issuer: Issuer) -> None:
        for _ in range(5):
            assert ask_members(token).status == 200

        assert issuer.asked == 1

    def test_are_fetched_for_an_unknown_one_at_most_once_in_five_seconds(
        self, world: World, token: str, issuer: Issuer, uptime: Uptime
    ) -> None:
        header, claims, signature = parts(token)
        assert ask_members(token).status == 200

        for n in range(20):
            unknown = f"{encoded({**header, 'kid': f'kid-{n}'})}.{encoded(claims)}.{encoded(signature)}"
            assert ask_members(unknown).status == 401
            uptime.now += 0.2
        assert issuer.asked == 1

        uptime.now += 5.1
        assert ask_members(unknown).status == 401
        assert issuer.asked == 2

    def test_that_cannot_be_read_are_an_outage_and_those_at_hand_stay_good(
        self, world: World, token: str, issuer: Issuer, uptime: Uptime
    ) -> None:
        issuer.away = True
        assert_refused(ask_members(token), 503, "access-unknown")
        issuer.away = False
        uptime.now += 5.1
        assert ask_members(token).status == 200

        issuer.away = True
        uptime.now += 301
        assert ask_members(token).status == 200
        assert issuer.asked == 3

    def test_are_not_asked_for_by_a_token_that_cannot_be_good(self, world: World, token: str, issuer: Issuer) -> None:
        world.pass_time(900)

        assert ask_members(token).status == 401
        assert issuer.asked == 0
