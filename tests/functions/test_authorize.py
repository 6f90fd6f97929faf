"""authorize: lets in whom the identity provider vouches for, and nobody else."""

import base64
import hashlib
import hmac
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from paidup.outside import identity

from tests import patient
from tests.functions.clocks import Uptime
from tests.handlers import invoke, sample
from tools.fakes.server import Fakes
from tools.serving import Silent, serving

ISSUER, AUDIENCE = "https://identity.example", "paidup"
NO_TOKEN = {"refused": "unauthorized", "why": "The request carries no identity token."}
MAKERS: dict[str, tuple[Callable[[], Any], Any]] = {
    "RS256": (lambda: rsa.generate_private_key(65537, 2048), RSAAlgorithm),
    "ES256": (lambda: ec.generate_private_key(ec.SECP256R1()), ECAlgorithm),
    "EdDSA": (ed25519.Ed25519PrivateKey.generate, OKPAlgorithm),
}


def jwk(kid: str, alg: str, private: Any) -> dict[str, Any]:
    """Return the public half of *private* as a JWKS shows it."""
    shown = {k: v for k, v in MAKERS[alg][1].to_jwk(private.public_key(), as_dict=True).items() if k != "key_ops"}
    return shown | {"kid": kid, "alg": alg, "use": "sig"}


KEYS = {alg: make() for alg, (make, _) in MAKERS.items()}
STRANGERS = MAKERS["RS256"][0]()


@dataclass(slots=True)
class Provider:
    """An identity provider: what its JWKS answers, how often it was asked, and how many askers it keeps waiting."""

    url: str
    answers: Any = field(default_factory=lambda: {"keys": [jwk(alg, alg, key) for alg, key in KEYS.items()]})
    asked: int = 0
    kept_waiting: int = 0
    how: str = "answers"


@contextmanager
def providing() -> Iterator[Provider]:
    """Run an identity provider while the block runs."""
    ended = threading.Event()

    class Handler(Silent):
        def do_GET(self) -> None:
            made.asked += 1
            if made.how == "breaks off":
                return
            if made.how == "hangs":
                made.kept_waiting += 1
                ended.wait()
                made.kept_waiting -= 1
                return
            body = made.answers if isinstance(made.answers, bytes) else json.dumps(made.answers).encode()
            self.send_response_only(200 if made.how in ("answers", "drips") else 500)
            self.send_header("Content-Length", str(len(body) + (made.how == "breaks off midway")))
            self.end_headers()
            if made.how == "drips":
                made.kept_waiting += 1
                self.drip(body)
                made.kept_waiting -= 1
                return
            self.wfile.write(body)

        def drip(self, text: bytes) -> None:
            """Send *text* a byte at a time: no pause is long, but it is not whole within a minute."""
            for n in range(len(text)):
                if ended.wait(0.1):
                    return
                self.wfile.write(text[n : n + 1])

    with serving(Handler) as url:
        made = Provider(f"{url}/jwks.json")
        try:
            yield made
        finally:
            ended.set()


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    with providing() as made:
        monkeypatch.setenv("PAIDUP_IDENTITY_ISSUER", ISSUER)
        monkeypatch.setenv("PAIDUP_IDENTITY_AUDIENCE", AUDIENCE)
        monkeypatch.setenv("PAIDUP_IDENTITY_JWKS_URL", made.url)
        monkeypatch.delenv("PAIDUP_CLOCK_FILE", raising=False)
        identity.connect.cache_clear()
        yield made
        identity.connect.cache_clear()


def claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    good = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "iat": now, "exp": now + 3_600, "email": "ada@example.com"}
    return {name: value for name, value in (good | changed).items() if value is not None}


def token(alg: str = "RS256", *, kid: str | None = None, key: Any = None, **changed: Any) -> str:
    return jwt.encode(claims(**changed), key or KEYS[alg], alg, {"kid": kid or alg})


def part(content: str | bytes) -> str:
    """Return *content* as a token carries it."""
    raw = content.encode() if isinstance(content, str) else content
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def by_hand(header: Any, payload: Any, sign: Callable[[bytes], bytes]) -> str:
    """Return a token that no library would make."""
    signed = f"{part(json.dumps(header))}.{part(json.dumps(payload))}"
    return f"{signed}.{part(sign(signed.encode()))}"


def call(authorization: str | None) -> Any:
    event = sample("authorize")
    del event["headers"]["authorization"]
    if authorization is not None:
        event["headers"]["authorization"] = authorization
    return invoke("authorize", event)


def passed_on(authorization: str | None) -> Any:
    """Return what reaches the function behind: the authorizer lets every request through."""
    answer = call(authorization)
    assert answer.keys() == {"isAuthorized", "context"}
    assert answer["isAuthorized"] is True
    return answer["context"]


def assert_let_in(bearer: str) -> Any:
    context = passed_on(f"Bearer {bearer}")
    assert context.keys() - {"email_verified"} == {"customer_id", "email", "roles", "token_ends_at"}
    assert context.pop("token_ends_at") > 0
    return context


def assert_refused(bearer: str) -> str:
    """Check that *bearer* is refused without any part of it, and return why."""
    context = passed_on(f"Bearer {bearer}")
    assert context.keys() == {"refused", "why"}
    assert context["refused"] == "invalid-token"
    assert re.fullmatch(r"[ -~]+\.", context["why"])
    assert '"' not in context["why"]
    assert "\\" not in context["why"]
    assert not [part for part in bearer.split(".") if len(part) > 3 and part in context["why"]]
    return str(context["why"])


def assert_outage(bearer: str | None = None) -> None:
    """Nobody who is signed in is told to sign in again."""
    context = passed_on(f"Bearer {bearer or token()}")
    assert context == {"refused": "identity-unavailable", "why": "The identity provider's keys cannot be read."}


class TestAGoodToken:
    @pytest.mark.parametrize("alg", ["RS256", "ES256", "EdDSA"])
    def test_says_who_is_calling(self, provider: Provider, alg: str) -> None:
        context = assert_let_in(token(alg, roles=["customer", "support"]))
        assert context == {"customer_id": "ada", "email": "ada@example.com", "roles": ["customer", "support"]}

    def test_may_say_less(self, provider: Provider) -> None:
        assert assert_let_in(token(email=None)) == {"customer_id": "ada", "email": "", "roles": []}

    def test_says_an_e_mail_address_only_where_it_is_verified(self, provider: Provider) -> None:
        """It is where a sync looks for purchases: whoever may choose it freely could look for another's."""
        assert assert_let_in(token(email_verified=False))["email"] == ""
        assert assert_let_in(token(email_verified=True))["email"] == "ada@example.com"

    @pytest.mark.parametrize(("said", "verified"), [(True, True), ("true", True), (False, False), (None, False)])
    def test_says_that_the_address_is_verified_only_if_the_provider_says_so(
        self, provider: Provider, said: object, verified: bool
    ) -> None:
        assert assert_let_in(token(email_verified=said)).get("email_verified", False) is verified

    def test_may_be_for_several_audiences(self, provider: Provider) -> None:
        assert_let_in(token(aud=["another", AUDIENCE]))

    @pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
    def test_is_a_bearer_token(self, provider: Provider, scheme: str) -> None:
        assert call(f"{scheme} {token()}")["isAuthorized"] is True

    def test_may_be_of_a_clock_that_is_a_little_ahead(self, provider: Provider) -> None:
        now = int(time.time())
        assert_let_in(token(iat=now + 20, nbf=now + 20))

    def test_is_verified_with_keys_that_were_fetched_once(self, provider: Provider) -> None:
        for alg in ("RS256", "ES256", "EdDSA", "RS256"):
            assert_let_in(token(alg))
        assert provider.asked == 1


class TestABadToken:
    @pytest.mark.parametrize(
        "changed",
        [
            {"aud": "another"},
            {"aud": None},
            {"aud": []},
            {"iss": "https://evil.example"},
            {"iss": None},
            {"iss": ISSUER + "/"},
            {"exp": int(time.time()) - 1},
            {"exp": None},
            {"exp": "tomorrow"},
            {"nbf": int(time.time()) + 86_400},
            {"iat": int(time.time()) + 86_400},
            {"sub": None},
            {"sub": ""},
            {"sub": "x" * 256},
            {"sub": "\U0001f600" * 64},
            {"sub": "a\x00b"},
            {"sub": "a\nb"},
            {"sub": "\ud800"},
            {"sub": ["ada"]},
        ],
    )
    def test_has_wrong_claims(self, provider: Provider, changed: dict[str, Any]) -> None:
        assert_refused(token(**changed))

    def test_ends_in_the_very_second_that_it_names(self, provider: Provider) -> None:
        assert_refused(token(exp=int(time.time())))

    def test_is_signed_by_a_stranger(self, provider: Provider) -> None:
        assert_refused(token(key=STRANGERS))

    def test_is_signed_by_another_algorithm_than_its_key(self, provider: Provider) -> None:
        assert_refused(token("RS256", kid="ES256"))
        assert_refused(token("ES256", kid="EdDSA"))

    @pytest.mark.parametrize("alg", ["RS512", "PS256"])
    def test_is_signed_by_an_algorithm_that_we_do_not_take_though_its_key_does(
        self, provider: Provider, alg: str
    ) -> None:
        provider.answers["keys"].append(jwk("other", "RS256", KEYS["RS256"]) | {"alg": alg})
        assert_refused(token(alg, kid="other", key=KEYS["RS256"]))

    def test_was_changed_after_it_was_signed(self, provider: Provider) -> None:
        header, payload, signature = token().split(".")
        assert_refused(f"{header}.{part(json.dumps(claims(sub='eve')))}.{signature}")
        assert_refused(f"{header}.{payload}.{signature[:-4]}AAAA")

    @pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE"])
    @pytest.mark.parametrize("kid", ["RS256", None])
    def test_is_not_signed_at_all(self, provider: Provider, alg: str, kid: str | None) -> None:
        header = {"alg": alg, "typ": "JWT"} | ({"kid": kid} if kid else {})
        bearer = by_hand(header, claims(), lambda _: b"")
        assert_refused(bearer)
        assert_refused(bearer.rstrip("."))

    @pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
    def test_is_signed_with_the_public_key_as_a_secret(self, provider: Provider, encoding: Encoding) -> None:
        public = KEYS["RS256"].public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
        header = {"alg": "HS256", "typ": "JWT", "kid": "RS256"}
        assert_refused(by_hand(header, claims(), lambda text: hmac.digest(public, text, hashlib.sha256)))

    def test_brings_its_own_key(self, provider: Provider) -> None:
        own = jwk("RS256", "RS256", STRANGERS)
        bearer = jwt.encode(claims(), STRANGERS, "RS256", {"kid": "RS256", "jwk": own, "jku": provider.url})
        assert_refused(bearer)

    @pytest.mark.parametrize(
        "bearer",
        [
            "x",
            "x.y",
            "x.y.z",
            "..",
            "eyJhbGciOiJSUzI1NiJ9..",
            "é.é.é",
            "e30.e30.e30",
            "W10.e30.e30",
            "bnVsbA.e30.e30",
            "A" * 8_000,
            f"{part('[' * 6_000)}.e30.e30",
            f"{part('{"alg": "RS256", "kid": ' + '9' * 5_000 + '}')}.e30.e30",
        ],
    )
    def test_is_garbage(self, provider: Provider, bearer: str) -> None:
        assert_refused(bearer)

    @pytest.mark.parametrize("header", [{"kid": ["RS256"]}, {"kid": {"a": 1}}, {"kid": 7}, {"alg": ["RS256"]}])
    def test_has_a_garbage_header(self, provider: Provider, header: dict[str, Any]) -> None:
        whole = {"alg": "RS256", "typ": "JWT", "kid": "RS256"} | header
        assert_refused(by_hand(whole, claims(), lambda _: b"signature"))

    @pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer ", "Basic YWRhOmFkYQ==", "Token x"])
    def test_is_none(self, provider: Provider, authorization: str | None) -> None:
        assert passed_on(authorization) == NO_TOKEN
        assert provider.asked == 0

    def test_needs_the_scheme(self, provider: Provider) -> None:
        assert passed_on(token()) == NO_TOKEN


class TestTheRolesOfAToken:
    """What a caller may do: no role is made of another."""

    def test_are_a_list_so_that_a_comma_makes_no_second_role(self, provider: Provider) -> None:
        context = assert_let_in(token(roles=["customer,host", "a b"]))

        assert context["roles"] == ["customer,host", "a b"]

    def test_may_be_a_single_one(self, provider: Provider) -> None:
        assert assert_let_in(token(roles="customer,host"))["roles"] == ["customer,host"]

    @pytest.mark.parametrize("roles", [7, True, {"host": 1}, [["host"], {"host": 1}, None, 7, "a\x00", "\ud800"]])
    def test_are_none_if_they_are_not_texts(self, provider: Provider, roles: Any) -> None:
        assert assert_let_in(token(roles=roles))["roles"] == []


class TestWithoutAnyKeys:
    @pytest.mark.parametrize("how", ["fails", "breaks off", "breaks off midway"])
    def test_nobody_comes_in_until_they_can_be_read(self, provider: Provider, uptime: Uptime, how: str) -> None:
        provider.how = how
        assert_outage()
        provider.how = "answers"
        uptime.now += 5.1
        assert_let_in(token())

    @pytest.mark.parametrize(
        "answers",
        [
            *(b"<html>", b"", b"\xff", b"[" * 100_000, [], None, {}, 7),
            *({"keys": []}, {"keys": "none"}, {"keys": [None]}, {"keys": [{}]}, {"keys": {"a": 1}}),
        ],
    )
    def test_nobody_comes_in_by_what_is_no_set_of_keys(self, provider: Provider, uptime: Uptime, answers: Any) -> None:
        good, provider.answers = provider.answers, answers
        assert_outage()
        provider.answers = good
        uptime.now += 5.1
        assert_let_in(token())

    @pytest.mark.parametrize("how", ["hangs", "drips"])
    def test_nobody_waits_for_a_provider_that_keeps_them_waiting(
        self, provider: Provider, uptime: Uptime, how: str
    ) -> None:
        provider.how = how
        assert_outage()
        patient.eventually(lambda: (provider.asked, provider.kept_waiting) == (1, 1))  # still, for all it knows
        provider.how = "answers"
        uptime.now += 5.1
        assert_let_in(token())

    def test_nobody_comes_in_where_there_is_nobody_to_ask(
        self, provider: Provider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PAIDUP_IDENTITY_JWKS_URL", "http://127.0.0.1:9/jwks.json")
        assert_outage()

    def test_the_provider_is_asked_once_in_five_seconds_however_many_come(
        self, provider: Provider, uptime: Uptime
    ) -> None:
        provider.how = "fails"

        for n in range(20):
            uptime.now += 0.2
            assert_outage(token(kid=f"any-{n}"))
        assert provider.asked == 1

        uptime.now += 5.1
        assert_outage()
        assert provider.asked == 2

    @pytest.mark.parametrize("how", ["hangs", "answers"])
    def test_the_provider_is_asked_once_by_many_who_come_at_the_same_time(self, provider: Provider, how: str) -> None:
        provider.how = how
        start = threading.Barrier(8)

        def come() -> Any:
            start.wait()
            return passed_on(f"Bearer {bearer}")

        bearer = token()
        with ThreadPoolExecutor(8) as threads:
            contexts = [one.result() for one in [threads.submit(come) for _ in range(8)]]

        assert provider.asked == 1
        assert all(one == contexts[0] for one in contexts)
        assert contexts[0].get("refused") == ("identity-unavailable" if how == "hangs" else None)

    def test_an_operator_is_told_once_for_each_time_that_the_provider_was_asked(
        self, provider: Provider, uptime: Uptime, caplog: pytest.LogCaptureFixture
    ) -> None:
        provider.how = "fails"
        for _ in range(3):
            assert_outage()
        uptime.now += 5.1
        assert_outage()
        told = [one for one in caplog.records if one.levelname == "ERROR"]
        assert [one.message for one in told] == ["keys.unreadable"] * 2

    def test_a_key_of_a_kind_unknown_to_us_spoils_no_other(self, provider: Provider) -> None:
        """Providers add new kinds of keys beside the old ones."""
        provider.answers["keys"].insert(0, {"kty": "AKP", "alg": "ML-DSA-44", "kid": "pq", "pub": "x"})
        assert_let_in(token())


class TestAnUnknownKey:
    """Keys are fetched again for one, but not more than once in five seconds."""

    def test_is_looked_for_at_most_once_however_many_ask(self, provider: Provider, uptime: Uptime) -> None:
        assert_let_in(token())
        for n in range(20):
            assert_refused(token(kid=f"nobodys-{n}"))
        assert provider.asked == 1

    def test_is_found_after_a_rotation(self, provider: Provider, uptime: Uptime) -> None:
        rotated = MAKERS["ES256"][0]()
        new = token("ES256", kid="new", key=rotated)
        assert_let_in(token())
        provider.answers = {"keys": [jwk("new", "ES256", rotated)]}

        assert_refused(new)
        uptime.now += 5.1
        assert_let_in(new)
        assert_refused(token("EdDSA"))
        assert provider.asked == 2

    def test_is_an_outage_while_the_provider_does_not_say_and_known_ones_are_as_good_as_before(
        self, provider: Provider, uptime: Uptime
    ) -> None:
        rotated = MAKERS["ES256"][0]()
        new = token("ES256", kid="new", key=rotated)
        assert_let_in(token())
        provider.how = "breaks off"
        uptime.now += 5.1

        assert_outage(new)
        assert_let_in(token("EdDSA"))
        assert provider.asked == 2

        provider.how, provider.answers = "answers", {"keys": [jwk("new", "ES256", rotated)]}
        uptime.now += 5.1
        assert_let_in(new)


def test_a_key_that_the_provider_retired_is_trusted_for_five_minutes_more_and_no_longer(
    provider: Provider, uptime: Uptime
) -> None:
    """By the clock that only runs on: were the other one set back, it would be trusted for as long."""
    old = token("RS256")
    assert_let_in(old)
    provider.answers = {"keys": [jwk("EdDSA", "EdDSA", KEYS["EdDSA"])]}
    uptime.now += 300
    assert_let_in(old)
    assert provider.asked == 1
    uptime.now += 1
    assert_refused(old)
    assert_let_in(token("EdDSA"))
    assert provider.asked == 2


@pytest.fixture
def identity_fake(fakes: Fakes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fakes]:
    monkeypatch.setenv("PAIDUP_IDENTITY_ISSUER", fakes.issuer)
    monkeypatch.setenv("PAIDUP_IDENTITY_AUDIENCE", AUDIENCE)
    monkeypatch.setenv("PAIDUP_IDENTITY_JWKS_URL", f"{fakes.issuer}/.well-known/jwks.json")
    monkeypatch.setenv("PAIDUP_CLOCK_FILE", str(fakes.clock_file))
    identity.connect.cache_clear()
    yield fakes
    identity.connect.cache_clear()


def test_time_is_the_functions_own_clock(identity_fake: Fakes, tmp_path: Path) -> None:
    """The one that every other deadline is held against."""
    answer = patient.post(f"{identity_fake.issuer}/token", json={"sub": "ada", "expires_in": 900}).json()
    assert_let_in(answer["token"])
    patient.post(f"{identity_fake.url}/dev/clock", json={"advance_s": 901}).raise_for_status()
    assert_refused(answer["token"])
