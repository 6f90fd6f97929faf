"""authorize: lets in whom the identity provider vouches for, and nobody else."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from paidup.outside import identity

from tests.world import Context, function, sample
from tools.fakes.server import Fakes

ISSUER, AUDIENCE = "https://identity.example", "paidup"
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
    purchase: int = 0
    how: str = "answers"


@contextmanager
def providing() -> Iterator[Provider]:
    """Run an identity provider while the block runs."""
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked += 1
            if made.how == "breaks off":
                return
            if made.how == "hangs":
                made.purchase += 1
                ended.wait()
                made.purchase -= 1
                return
            body = made.answers if isinstance(made.answers, bytes) else json.dumps(made.answers).encode()
            self.send_response_only(200 if made.how in ("answers", "drips") else 500)
            self.send_header("Content-Length", str(len(body) + (made.how == "breaks off midway")))
            self.end_headers()
            if made.how == "drips":
                made.purchase += 1
                self.drip(body)
                made.purchase -= 1
                return
            self.wfile.write(body)

        def drip(self, text: bytes) -> None:
            """Send *text* a byte at a time: no pause is long, but it is not whole within a minute."""
            for n in range(len(text)):
                if ended.wait(0.1):
                    return
                self.wfile.write(text[n : n + 1])

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its base's name
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made = Provider(f"http://127.0.0.1:{server.server_port}/jwks.json")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield made
        finally:
            ended.set()
            server.shutdown()
            thread.join()


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


def by_hand(header: dict[str, Any], payload: dict[str, Any], sign: Callable[[bytes], bytes]) -> str:
    """Return a token that no library would make."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, payload)]
    signature = base64.urlsafe_b64encode(sign(b".".join(parts))).rstrip(b"=")
    return b".".join([*parts, signature]).decode()


def call(authorization: str | None) -> Any:
    event = sample("authorize")
    del event["headers"]["authorization"]
    if authorization is not None:
        event["headers"]["authorization"] = authorization
    return function("authorize")(event, Context())


def assert_let_in(bearer: str) -> Any:
    answer = call(f"Bearer {bearer}")
    assert answer["isAuthorized"] is True
    return answer["context"]


def assert_refused(bearer: str | None) -> None:
    """API Gateway answers 401 where an authorizer raises exactly this; all else is 403 or 500."""
    with pytest.raises(Exception, match=r"^Unauthorized$") as refused:
        call(bearer if bearer is None else f"Bearer {bearer}")
    assert type(refused.value) is Exception


def assert_outage() -> None:
    """API Gateway answers 500: nobody who is signed in is told to sign in again."""
    with pytest.raises(identity.KeysUnreadable):
        call(f"Bearer {token()}")


class TestAGoodToken:
    @pytest.mark.parametrize("alg", ["RS256", "ES256", "EdDSA"])
    def test_says_who_is_calling(self, provider: Provider, alg: str) -> None:
        context = assert_let_in(token(alg, roles=["customer", "support"]))
        assert context == {"customer_id": "ada", "email": "ada@example.com", "roles": "customer,support"}

    def test_may_say_less(self, provider: Provider) -> None:
        assert assert_let_in(token(email=None)) == {"customer_id": "ada", "email": "", "roles": ""}

    def test_says_an_e_mail_address_only_where_it_is_verified(self, provider: Provider) -> None:
        """It is where a sync looks for purchases: whoever may choose it freely could look for another's."""
        assert assert_let_in(token(email_verified=False))["email"] == ""
        assert assert_let_in(token(email_verified=True))["email"] == "ada@example.com"

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
            {"nbf": int(time.time()) + 600},
            {"iat": int(time.time()) + 600},
            {"sub": None},
            {"sub": ""},
            {"sub": "x" * 256},
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
        other = base64.urlsafe_b64encode(json.dumps(claims(sub="eve")).encode()).rstrip(b"=").decode()
        assert_refused(f"{header}.{other}.{signature}")
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
            "",
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
        with pytest.raises(Exception, match=r"^Unauthorized$"):
            call(authorization)
        assert provider.asked == 0

    def test_needs_the_scheme(self, provider: Provider) -> None:
        with pytest.raises(Exception, match=r"^Unauthorized$"):
            call(token())


class TestWithoutAnyKeys:
    @pytest.mark.parametrize("how", ["fails", "breaks off", "breaks off midway"])
    def test_nobody_comes_in_until_they_can_be_read(self, provider: Provider, how: str) -> None:
        provider.how = how
        assert_outage()
        provider.how = "answers"
        assert_let_in(token())

    @pytest.mark.parametrize(
        "answers",
        [b"<html>", b"", b"\xff", [], None, {}, {"keys": []}, {"keys": "none"}, {"keys": [None]}, {"keys": [{}]}],
    )
    def test_nobody_comes_in_by_what_is_no_set_of_keys(self, provider: Provider, answers: Any) -> None:
        good, provider.answers = provider.answers, answers
        assert_outage()
        provider.answers = good
        assert_let_in(token())

    @pytest.mark.timeout(10)  # the provider never lets go: whoever waits for it is found here
    @pytest.mark.parametrize("how", ["hangs", "drips"])
    def test_nobody_waits_for_a_provider_that_keeps_them_waiting(self, provider: Provider, how: str) -> None:
        provider.how = how
        assert_outage()
        assert (provider.asked, provider.purchase) == (1, 1)
        provider.how = "answers"
        assert_let_in(token())

    def test_nobody_comes_in_where_there_is_nobody_to_ask(
        self, provider: Provider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PAIDUP_IDENTITY_JWKS_URL", "http://127.0.0.1:9/jwks.json")
        assert_outage()

    def test_a_key_of_a_kind_unknown_to_us_spoils_no_other(self, provider: Provider) -> None:
        """Providers add new kinds of keys beside the old ones."""
        provider.answers["keys"].insert(0, {"kty": "AKP", "alg": "ML-DSA-44", "kid": "pq", "pub": "x"})
        assert_let_in(token())


class TestAnUnknownKey:
    """Keys are fetched again for one, but not more than once in five seconds: real ones, which one test waits for."""

    def test_is_looked_for_at_most_once_however_many_ask(self, provider: Provider) -> None:
        assert_let_in(token())
        for n in range(20):
            assert_refused(token(kid=f"nobodys-{n}"))
        assert provider.asked == 1

    def test_is_found_after_a_rotation_and_an_outage_harms_nobody(
        self, provider: Provider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rotated = MAKERS["ES256"][0]()
        new = token("ES256", kid="new", key=rotated)
        with providing() as another:
            assert_let_in(token())
            monkeypatch.setenv("PAIDUP_IDENTITY_JWKS_URL", another.url)
            assert_let_in(token())
            time.sleep(5.1)

            another.how = "breaks off"
            assert_refused(new)
            assert another.asked == 2
            assert_let_in(token("EdDSA"))

        monkeypatch.setenv("PAIDUP_IDENTITY_JWKS_URL", provider.url)
        provider.answers = {"keys": [jwk("new", "ES256", rotated)]}
        assert_let_in(token("EdDSA"))
        assert_let_in(new)
        assert provider.asked == 2
        assert_refused(token("EdDSA"))


def test_a_key_that_the_provider_retired_is_trusted_for_five_minutes_more_and_no_longer(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the clock that only runs on: were the other one set back, it would be trusted for as long."""
    runs = float(int(time.monotonic()))  # in whole seconds, so that five minutes more are exactly that
    monkeypatch.setattr(time, "monotonic", lambda: runs)
    old = token("RS256")
    assert_let_in(old)
    provider.answers = {"keys": [jwk("EdDSA", "EdDSA", KEYS["EdDSA"])]}
    runs += 300
    assert_let_in(old)
    assert provider.asked == 1
    runs += 1
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
    answer = httpx.post(f"{identity_fake.issuer}/token", json={"sub": "ada", "expires_in": 900}).json()
    assert_let_in(answer["token"])
    httpx.post(f"{identity_fake.url}/dev/clock", json={"advance_s": 901}).raise_for_status()
    assert_refused(answer["token"])
