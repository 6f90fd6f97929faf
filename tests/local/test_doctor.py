"""`paidup doctor` of a deployed stack: what it says of a shop that is well, and of one that is not."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from paidup.outside import secrets as kept

from tests import patient
from tests.alarms import rings
from tests.emf import samples, values
from tests.handlers import Context, invoke, request, sample
from tests.world import WEBHOOK_SECRET, World
from tools import cli, signing_keys
from tools.doctor import around, judgement, round_trip

FIVE_MINUTES_S = 300


@dataclass(slots=True)
class Door:
    """The API's public address, behind which receive_webhook answers, unless `answer` does. Its clock is `ahead_s`."""

    url: str
    ahead_s: int = 0
    answer: Callable[[], int] | None = None
    answered: list[int] = field(default_factory=list)


@pytest.fixture
def door(shop: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    """The API's public address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if made.answer:
                status, text = made.answer(), "{}"
            else:
                given = {"Stripe-Signature": self.headers["stripe-signature"], "User-Agent": self.headers["user-agent"]}
                found = request(f"POST {self.path}", raw=body.decode(), headers=given)
                status, text = found.status, found.text
            made.answered.append(status)
            self.send_response_only(status)
            self.send_header("Date", formatdate(shop.now() + made.ahead_s, usegmt=True))
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its base's name
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made = Door(f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("PAIDUP_API_URL", made.url)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield made
        server.shutdown()
        thread.join()


@pytest.fixture
def told(shop: World, door: Door) -> Iterator[str]:
    """The endpoint at Stripe that tells the shop everything, with the secret that the shop knows, too."""
    made = shop.stripe.v1.webhook_endpoints.create({"url": f"{door.url}/webhooks/stripe", "enabled_events": ["*"]})
    hold(WEBHOOK_SECRET, str(made.secret))
    yield str(made.id)
    for one in shop.stripe.v1.webhook_endpoints.list().data:
        shop.stripe.v1.webhook_endpoints.delete(one.id)


def put(name: str, value: Any) -> None:
    """Give the secret *name* a new value."""
    boto3.client("secretsmanager").put_secret_value(SecretId=name, SecretString=json.dumps(value))


def hold(*secrets: str) -> None:
    """Put signing *secrets* into the shop's secret. They count at once, in place of within five minutes."""
    put(os.environ["PAIDUP_STRIPE_SECRET"], {"api_key": "sk_test_local", "webhook_secrets": secrets})
    kept.connect.cache_clear()


def held() -> list[str]:
    """Return the signing secrets that the shop holds."""
    text = boto3.client("secretsmanager").get_secret_value(SecretId=os.environ["PAIDUP_STRIPE_SECRET"])["SecretString"]
    found: list[str] = json.loads(text)["webhook_secrets"]
    return found


def reconcile() -> None:
    invoke("reconcile_payments", sample("reconcile_payments"), Context())


def delivered(shop: World) -> None:
    """Wait until every delivery was tried that is due."""

    def nothing_is_due() -> bool:
        """Every delivery that is due was tried"""
        found = shop.http.get(f"{shop.fakes.url}/dev/deliveries", params={"status": "pending", "limit": 100}).json()
        return all(one["next_at"] > shop.stripes_now() for one in found["deliveries"])

    patient.eventually(nothing_is_due)


def examined(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    """Run `paidup doctor`, and return its exit code, and its findings by what they are about."""
    capsys.readouterr()
    code = cli.main(["doctor", "--stack", "shop", "--json"])
    return code, {one["check"]: one for one in json.loads(capsys.readouterr().out)}


def wrong(found: dict[str, Any]) -> set[str]:
    """Return what is not well."""
    return {check for check, one in found.items() if one["verdict"] == "not ok"}


@pytest.fixture
def well(shop: World, told: str) -> World:
    """A shop in which everything is as it must be, which has sold something, and has run lately."""
    buys(shop, shop.customer())
    shop.work_queue(100)
    shop.pass_time(130)
    shop.sweep()
    reconcile()
    return shop


def buys(shop: World, customer: str) -> None:
    """Let *customer* buy ten classes, of which Stripe tells, or tries to."""
    shop.pay(shop.buy(customer=customer).json["url"])
    delivered(shop)


def test_a_shop_that_is_well(well: World, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = examined(capsys)

    assert (code, wrong(found)) == (0, set())
    assert [check for check, one in found.items() if one["verdict"] == "cannot tell"] == ["alarms"]
    assert found["signed round trip"]["ms"] >= 0
    assert found["signing secrets"]["found"] == "2 of them"


def test_no_secret_is_shown_to_anybody(well: World, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert cli.main(["doctor", "--stack", "shop"]) == 0

    said = "".join(capsys.readouterr())
    assert "signed round trip\tok\t" in said
    assert "whsec_" not in said
    assert "sk_test" not in said


def test_its_own_webhooks_make_no_alarm_ring_and_none_silent(
    well: World, door: Door, capsys: pytest.CaptureFixture[str]
) -> None:
    url, now = f"{door.url}/webhooks/stripe", well.now()
    well.deliver({"id": "evt_1", "object": "event"})
    assert values(samples(capsys.readouterr().out), "WebhookDelivery", outcome="refused") == [1.0]

    ours = round_trip.send(url, WEBHOOK_SECRET, at=now, live=False, by_proxy=False)
    forged = round_trip.forged(url, at=now, live=False, by_proxy=False)

    assert (ours.status, forged.status) == (200, 400)
    assert "WebhookDelivery" not in {one.metric for one in samples(capsys.readouterr().out)}


def test_a_signing_secret_that_was_wrong_for_five_minutes(well: World, capsys: pytest.CaptureFixture[str]) -> None:
    right, buyer, later = held(), well.customer(), well.customer()
    hold(WEBHOOK_SECRET)
    capsys.readouterr()
    buys(well, buyer)
    for _ in range(3):
        well.pass_time(FIVE_MINUTES_S // 3)
        delivered(well)

    measured = samples(capsys.readouterr().out)
    code, found = examined(capsys)

    assert rings("WebhooksRefusedAlarm", measured)
    assert (code, wrong(found)) == (1, {"deliveries"})
    assert "the signing secret does not match" in found["deliveries"]["found"]
    assert "webhook_secrets" in found["deliveries"]["todo"]
    assert well.account(customer=buyer)["access"] == []

    hold(*right)
    buys(well, later)
    well.work_queue(100)
    well.pass_time(61)
    reconcile()

    assert [len(well.account(customer=one)["access"]) for one in (buyer, later)] == [1, 1]
    code, found = examined(capsys)
    assert (code, wrong(found)) == (0, set())
    assert "newer ones came" in found["deliveries"]["found"]


@pytest.mark.parametrize(
    ("fault", "named", "todo"),
    [
        ("missing", "the provider has no webhook endpoint", "make one for {url} "),
        ("wrong-url", "no endpoint at the provider has the URL {url}", "change the endpoint's URL"),
        ("disabled", "the endpoint is disabled", "enable it"),
        ("event-types", "the endpoint is not told of charge.dispute.closed, ", "subscribe it"),
    ],
)
def test_an_endpoint_that_cannot_tell_is_named_with_what_to_do_and_the_secret_is_not(
    well: World, told: str, door: Door, capsys: pytest.CaptureFixture[str], fault: str, named: str, todo: str
) -> None:
    endpoints, url = well.stripe.v1.webhook_endpoints, f"{door.url}/webhooks/stripe"
    match fault:
        case "missing":
            endpoints.delete(told)
        case "wrong-url":
            endpoints.update(told, {"url": "https://old.example/webhooks/stripe"})
        case "disabled":
            endpoints.update(told, {"disabled": True})
        case "event-types":
            endpoints.update(told, {"enabled_events": ["checkout.session.completed"]})

    code, found = examined(capsys)

    assert (code, wrong(found)) == (1, {"webhook endpoint"})
    assert found["webhook endpoint"]["found"].startswith(named.format(url=url))
    assert found["webhook endpoint"]["todo"].startswith(todo.format(url=url))
    assert "checkout.session.completed" not in found["webhook endpoint"]["found"]


def test_an_endpoint_that_was_mended_is_well_again(well: World, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    endpoints = well.stripe.v1.webhook_endpoints
    url = str(endpoints.retrieve(told).url)
    endpoints.update(told, {"url": "https://old.example/", "enabled_events": ["charge.refunded"], "disabled": True})
    assert wrong(examined(capsys)[1]) == {"webhook endpoint"}

    endpoints.update(told, {"url": url, "enabled_events": ["*"], "disabled": False})

    assert examined(capsys)[0] == 0


def test_an_api_that_answers_everybody_with_200(well: World, door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    door.answer = lambda: 200

    assert wrong(examined(capsys)[1]) == {"forged webhook"}


def test_an_api_that_fails(well: World, door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    door.answer = lambda: 500

    found = examined(capsys)[1]

    assert wrong(found) == {"signed round trip"}
    assert found["forged webhook"]["verdict"] == "cannot tell"


def test_an_api_that_nobody_reaches(
    well: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAIDUP_API_URL", "http://127.0.0.1:9")

    found = examined(capsys)[1]

    assert wrong(found) == {"signed round trip", "webhook endpoint"}
    assert "no answer (ConnectError)" in found["signed round trip"]["found"]


def test_clocks_that_differ(well: World, door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    door.ahead_s = -31

    found = examined(capsys)[1]

    assert wrong(found) == {"clock"}
    assert found["clock"]["found"] == "the API is 31 s behind the provider"


def test_secrets_that_are_not_as_they_must_be(well: World, capsys: pytest.CaptureFixture[str]) -> None:
    put(os.environ["PAIDUP_STRIPE_SECRET"], {"api_key": "sk_test_local", "webhook_secrets": ["whsec_…"]})
    put(os.environ["PAIDUP_SIGNING_KEYS_SECRET"], {"keys": [{"kid": "1"}]})
    kept.connect.cache_clear()

    found = examined(capsys)[1]

    put(os.environ["PAIDUP_SIGNING_KEYS_SECRET"], signing_keys.first())
    assert wrong(found) >= {"signing secrets", "signing keys"}
    assert found["API key"]["verdict"] == "ok"
    assert found["signed round trip"]["verdict"] == "cannot tell"


def test_a_secret_that_is_not_there(
    well: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAIDUP_STRIPE_SECRET", "nowhere")

    found = examined(capsys)[1]

    assert wrong(found) == {"API key", "signing secrets"}
    assert found["API key"]["found"] == "the secret nowhere cannot be read (ResourceNotFoundException)"
    assert found["deliveries"]["verdict"] == "cannot tell"


def test_an_api_key_that_stripe_does_not_know(well: World, capsys: pytest.CaptureFixture[str]) -> None:
    put(os.environ["PAIDUP_STRIPE_SECRET"], {"api_key": "sk_test_another", "webhook_secrets": [WEBHOOK_SECRET]})

    code, found = examined(capsys)

    assert (code, wrong(found)) == (1, {"webhook endpoint"})
    assert "401" in found["webhook endpoint"]["found"]


def test_runs_that_do_not_come(well: World, capsys: pytest.CaptureFixture[str]) -> None:
    well.buy(customer=well.customer())
    delivered(well)
    well.pass_time(901)

    assert wrong(examined(capsys)[1]) == {"sweep", "reconciler"}


def test_dead_letters(well: World, capsys: pytest.CaptureFixture[str]) -> None:
    sqs, url = boto3.client("sqs"), os.environ["PAIDUP_DEAD_LETTERS_URL"]
    sqs.send_message(QueueUrl=url, MessageBody="{}")

    found = examined(capsys)[1]

    sqs.purge_queue(QueueUrl=url)
    assert wrong(found) == {"dead letters"}
    assert found["dead letters"]["found"].startswith("1 dead letters")


def test_alarms_are_those_of_the_stack_by_their_names_in_the_template() -> None:
    cloudwatch: Any = boto3.client("cloudwatch")
    states = {"shop-SweepLateAlarm-1X2Y": "ALARM", "shop-QueueAgeAlarm-3Z": "OK", "shop-two-QueueAgeAlarm-4": "ALARM"}
    listed = [{"AlarmName": name, "StateValue": state} for name, state in states.items()]

    with Stubber(cloudwatch) as stubber:
        stubber.add_response("describe_alarms", {"MetricAlarms": listed}, {"AlarmNamePrefix": "shop-"})
        found = around.alarms(cloudwatch, "shop")

    assert found == [("QueueAgeAlarm", "OK"), ("SweepLateAlarm", "ALARM")]
    judged = judgement.of_alarms(found)
    assert (judged.verdict, judged.found) == ("not ok", "SweepLateAlarm")


class TestJudging:
    def test_events_of_another_release_are_fetched_once_more(self) -> None:
        assert judgement.of_version("2026-10-28.endive", "2026-09-30.endive").verdict == "ok"
        assert judgement.of_version("2026-10-28.endive", "2025-01-27.acacia").verdict == "not ok"
        assert judgement.of_version("2026-10-28.endive", None).verdict == "cannot tell"

    @pytest.mark.parametrize(
        ("delivered_at", "reached", "endpoint_good", "others", "told"),
        [
            (99, True, True, 0, "the signing secret does not match"),
            (None, True, True, 2, "or one of 2 other endpoints fails"),
            (99, False, True, 0, "our own webhook is not taken either"),
            (99, True, False, 0, "see webhook endpoint"),
            (100, True, True, 0, "newer ones came"),
        ],
    )
    def test_what_keeps_events_from_coming(
        self, delivered_at: int | None, reached: bool, endpoint_good: bool, others: int, told: str
    ) -> None:
        found = judgement.of_deliveries(
            [100, 90], delivered_at, reached=reached, endpoint_good=endpoint_good, others=others
        )

        assert told in found.found
        assert found.verdict == ("ok" if delivered_at == 100 else "not ok")
