"""issue_billing_token: what a customer may use, signed, and the public keys by which anybody can verify that."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import jwt
import pytest
from paidup.flows.issue_token import AFTER_A_CHANGE_S
from paidup.model.access import Access, PurchaseStatus
from paidup.model.offer import Kind
from paidup.outside import secrets
from paidup.outside.secrets import BadSecret

from tests.functions.billing import JWKS, issued, parts
from tests.functions.story import MOMENT_S, Story
from tests.handlers import request
from tests.world import World, changed
from tools import signing_keys

ISSUER = "https://billing.example"


@pytest.fixture(autouse=True)
def _issuer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAIDUP_BILLING_ISSUER", ISSUER)


def verified(world: World, token: str) -> dict[str, Any]:
    """Return the claims of *token* as a library of others reads them, by our public keys."""
    keys = jwt.PyJWKSet.from_dict(request(f"GET {JWKS}").json)
    key = keys[jwt.get_unverified_header(token)["kid"]]
    options: Any = {"verify_exp": False, "verify_iat": False, "require": ["iss", "aud", "sub", "iat", "exp"]}
    found: dict[str, Any] = jwt.decode(
        token, key, algorithms=["EdDSA"], issuer=ISSUER, audience="paidup", options=options
    )
    return found


def give(world: World, customer: str, *access: Access, cut: bool = False) -> None:
    """Let *customer* have *access*, as no function would give it."""
    before = world.services.table.account(customer)
    after = replace(before, access=access, access_cut=cut, billing_version=before.billing_version + 1)
    world.services.table.commit(changed(before, after, now=world.now()))


def day(n: int, *, until: int | None, offer_id: str = "day_pass") -> Access:
    """Return access by a purchase of its own."""
    return Access(purchase_id=f"co_{n}", offer_id=offer_id, kind=Kind.PASS, status=PurchaseStatus.ACTIVE, until=until)


def asked_for_a_token(world: World, customer: str) -> list[str]:
    """Let *customer* ask for a token, and return what the table is asked for it."""
    asked: list[str] = []
    events = world.services.table.client.meta.events

    def note(model: Any, **_: Any) -> None:
        asked.append(model.name)

    events.register("before-parameter-build.dynamodb", note)
    issued(customer)
    events.unregister("before-parameter-build.dynamodb", note)
    return asked


class TestAToken:
    def test_says_what_was_paid_for(self, world: World, story: Story) -> None:
        story.buys("ten_class_pass")
        story.hear()

        found = issued(story.buyer)

        claims = verified(world, found["token"])
        (until,) = story.access.values()
        assert claims == {
            "iss": ISSUER,
            "aud": "paidup",
            "sub": story.buyer,
            "iat": world.now(),
            "exp": world.now() + 900,
            "billing": {
                "version": story.version,
                "access": [
                    {"offer_id": "ten_class_pass", "kind": "pass", "status": "active", "quantity": 1, "until": until}
                ],
            },
        }
        assert (found["expires_at"], found["billing_version"]) == (claims["exp"], story.version)
        assert found["access"] == story.account["access"]
        assert found["truncated"] is False

    def test_of_a_customer_who_has_nothing_grants_nothing(self, world: World, buyer: str) -> None:
        found = issued(buyer)

        assert verified(world, found["token"])["billing"] == {"version": 0, "access": []}
        assert found["access"] == []
        assert found["expires_at"] == world.now() + 900

    def test_costs_one_read_of_the_account(self, world: World, buyer: str) -> None:
        assert asked_for_a_token(world, buyer) == ["GetItem"]

    def test_is_noted_once_after_a_change_and_never_long_after_it(self, story: Story) -> None:
        """Every process would note it once more, at a write each."""
        story.buys("day_pass")
        story.hear()
        first, second = (asked_for_a_token(story.world, story.buyer) for _ in range(2))
        story.buys("ten_class_pass")
        story.hear()
        story.world.pass_time(86_401)
        late = asked_for_a_token(story.world, story.buyer)

        assert (first, second, late) == (["GetItem", "PutItem"], ["GetItem"], ["GetItem"])

    def test_ends_with_the_first_access_in_it(self, world: World, buyer: str) -> None:
        now = world.now()
        give(world, buyer, day(1, until=now + 300), day(2, until=None, offer_id="for_good"))

        claims = verified(world, issued(buyer)["token"])

        assert claims["exp"] == now + 300
        assert {one["offer_id"] for one in claims["billing"]["access"]} == {"day_pass", "for_good"}

    def test_leaves_out_what_ends_within_a_minute_and_says_so(self, world: World, buyer: str) -> None:
        now = world.now()
        give(world, buyer, day(1, until=now + 5), day(2, until=None, offer_id="for_good"))

        found = issued(buyer)

        claims = verified(world, found["token"])
        assert claims["exp"] == now + 900
        assert [one["offer_id"] for one in claims["billing"]["access"]] == ["for_good"]
        assert claims["billing"]["truncated"] is found["truncated"] is True

    @pytest.mark.parametrize("offer_id", ["day_pass", "\U0001f600" * 25, "x" * 100])
    def test_fits_a_header_however_much_was_bought(self, world: World, offer_id: str) -> None:
        customer = "ü" * 120 + world.customer()[-7:]
        now = world.now()
        many = [day(n, until=now + 1_000 + n, offer_id=f"{offer_id}{n % 7}") for n in range(200)]
        give(world, customer, *many, cut=True)

        found = issued(customer)

        claims = verified(world, found["token"])
        assert 3_500 < len(found["token"]) <= 4_096
        assert claims["billing"]["truncated"] is found["truncated"] is True
        longest = {f"{offer_id}{n % 7}": now + 1_000 + n for n in range(200)}
        listed = claims["billing"]["access"]
        assert {one["offer_id"]: one["until"] for one in reversed(listed)} == longest
        assert len(found["access"]) == 200

    def test_adds_up_what_is_alike(self, world: World, buyer: str) -> None:
        end = world.now() + 5_000
        give(world, buyer, *(day(n, until=end) for n in range(150)))

        found = issued(buyer)

        (one,) = verified(world, found["token"])["billing"]["access"]
        assert (one["quantity"], found["truncated"]) == (150, False)

    def test_is_of_the_api_that_was_asked_if_no_issuer_is_set(
        self, world: World, buyer: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("PAIDUP_BILLING_ISSUER")

        assert parts(issued(buyer)["token"])[1]["iss"] == "https://api.shop.example"

    def test_is_counted_and_timed(self, world: World, buyer: str, capsys: pytest.CaptureFixture[str]) -> None:
        issued(buyer)

        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "CloudWatchMetrics" in line]
        counted = next(line for line in lines if "TokenIssued" in line)
        assert (counted["outcome"], counted["TokenIssued"]) == ("success", [1.0])
        assert any(line.get("TokenIssueTime", [0])[0] > 0 for line in lines)
        assert buyer not in json.dumps(lines)

    def test_that_follows_a_change_is_timed_from_the_providers_event(
        self, world: World, story: Story, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Deliveries take MOMENT_S, and the client asks three seconds later."""
        story.buys("day_pass")
        story.hear()
        world.pass_time(3)
        issued(story.buyer)
        world.pass_time(AFTER_A_CHANGE_S)
        issued(story.buyer)

        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"TokenTime"' in line]
        assert [line["TokenTime"] for line in lines] == [[(MOMENT_S + 3) * 1000]]


def manager() -> Any:
    return boto3.client("secretsmanager")


@pytest.fixture
def signing_secret(world: World) -> Iterator[str]:
    """The name of the signing keys' secret, which is as before afterwards."""
    name = os.environ["PAIDUP_SIGNING_KEYS_SECRET"]
    before = manager().get_secret_value(SecretId=name)["SecretString"]
    yield name
    manager().put_secret_value(SecretId=name, SecretString=before)
    secrets.connect.cache_clear()


def put(name: str, value: Any) -> None:
    manager().put_secret_value(SecretId=name, SecretString=json.dumps(value))
    secrets.connect.cache_clear()


def kids() -> list[str]:
    return [one["kid"] for one in request(f"GET {JWKS}").json["keys"]]


class TestARotation:
    def test_publishes_the_new_key_before_it_signs_and_the_old_one_until_its_last_token_has_ended(
        self, world: World, buyer: str, signing_secret: str
    ) -> None:
        value = signing_keys.first()
        (old,) = [one["kid"] for one in value["keys"]]
        value = signing_keys.rotated(value, at_once=False, now=world.now())
        new = value["keys"][0]["kid"]
        put(signing_secret, value)

        assert (kids(), parts(issued(buyer)["token"])[0]["kid"]) == ([new, old], old)

        world.pass_time(signing_keys.PUBLISHED_FIRST_S - 1)
        last = issued(buyer)
        assert parts(last["token"])[0]["kid"] == old
        world.pass_time(1)
        assert parts(issued(buyer)["token"])[0]["kid"] == new
        world.pass_time(last["expires_at"] - world.now())
        assert kids() == [new, old]

        world.pass_time(signing_keys.KEPT_AFTER_S)
        assert (kids(), parts(issued(buyer)["token"])[0]["kid"]) == ([new], new)

    def test_of_a_key_that_is_no_secret_any_more_withdraws_it_at_once(
        self, world: World, buyer: str, signing_secret: str
    ) -> None:
        value = signing_keys.rotated(signing_keys.first(), at_once=True, now=world.now())
        put(signing_secret, value)

        assert kids() == [value["keys"][0]["kid"]] == [parts(issued(buyer)["token"])[0]["kid"]]

    @pytest.mark.parametrize(
        "value",
        [
            {"keys": [{"kid": "x"}]},
            {"keys": [{**signing_keys.first()["keys"][0], "d": "c2hvcnQ"}]},
            {"keys": [{**signing_keys.first()["keys"][0], "crv": "X25519"}]},
            {"keys": "none"},
            {"keys": [None]},
        ],
    )
    def test_a_broken_key_is_told_without_showing_it(
        self, world: World, buyer: str, signing_secret: str, value: Any
    ) -> None:
        put(signing_secret, value)

        with pytest.raises(BadSecret, match="holds a key that is not as it must be") as told:
            request("POST /billing-token", customer=buyer)
        assert "c2hvcnQ" not in str(told.value)

    def test_a_secret_without_a_key_that_signs_is_told_with_what_mends_it(
        self, world: World, buyer: str, signing_secret: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (key,) = signing_keys.first()["keys"]
        put(signing_secret, {"keys": [{**key, "retire_at": world.now()}]})

        with pytest.raises(BadSecret, match="run `paidup keys rotate`"):
            request("POST /billing-token", customer=buyer)
        assert '"outcome":"failure"' in capsys.readouterr().out


class TestTheKeys:
    def test_may_be_kept_for_minutes_and_are_not_sent_again_if_they_are_the_same(self, world: World) -> None:
        found = request(f"GET {JWKS}")
        again = request(f"GET {JWKS}", headers={"If-None-Match": found.headers["etag"]})
        other = request(f"GET {JWKS}", headers={"If-None-Match": '"other"'})

        assert found.headers["cache-control"] == "public, max-age=300, stale-while-revalidate=300"
        assert (again.status, again.text, again.headers["etag"]) == (304, "", found.headers["etag"])
        assert (other.status, other.json) == (200, found.json)

    def test_show_no_private_half(self, world: World) -> None:
        (key,) = request(f"GET {JWKS}").json["keys"]

        assert set(key) == {"kty", "crv", "alg", "use", "kid", "x"}
        assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("OKP", "Ed25519", "EdDSA", "sig")
