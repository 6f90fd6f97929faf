"""The alarms ring: what goes wrong is measured by the real handlers, and the template's own alarm is true for it."""

import json
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest
from paidup.outside import secrets as kept

from tests.alarms import ALARMS, dimensions_of, ringing, rings
from tests.emf import Sample, samples, values
from tests.functions.story import Story
from tests.functions.wire import Exchange, Wire, be_down, never_answer
from tests.handlers import Context, invoke, request, sample
from tests.world import World

LOST_S, HOUR = 130, 3_600
OURS = [name for name, alarm in ALARMS.items() if "AWS/" not in json.dumps(alarm)]
type Measured = Callable[[], list[Sample]]


def reconcile() -> None:
    invoke("reconcile_payments", sample("reconcile_payments"), Context())


@pytest.fixture
def watched(story: Story, capsys: pytest.CaptureFixture[str]) -> Measured:
    """What was measured since the last look. Nothing of other tests is left, and the endpoint is as it must be."""
    story.world.pass_time(LOST_S)
    story.world.sweep()
    reconcile()
    capsys.readouterr()
    return lambda: samples(capsys.readouterr().out)


@pytest.fixture(autouse=True)
def endpoint(world: World) -> str:
    """The webhook endpoint at Stripe that tells us everything. Nobody is there: tests deliver themselves."""
    listed = world.stripe.v1.webhook_endpoints.list().data
    for one in listed:
        world.stripe.v1.webhook_endpoints.delete(one.id)
    made = world.stripe.v1.webhook_endpoints.create(
        {"url": "http://127.0.0.1:8787/webhooks/stripe", "enabled_events": ["*"]}
    )
    return str(made.id)


def test_a_day_without_trouble_rings_none(story: Story, watched: Measured) -> None:
    for offer_id in ("ten_class_pass", "monthly"):
        story.buys(offer_id)
        story.hear()
        story.world.status(story.token["checkout_id"], customer=story.buyer)
    story.world.pass_time(60)
    story.world.sweep()
    story.world.pass_time(LOST_S)
    story.world.sweep()
    reconcile()
    assert story.world.sync(customer=story.buyer).status == 200

    found = watched()

    names = {one.metric for one in found}
    assert {"Settlement", "ChargeToAccess", "WebhookDelivery", "SweepLag", "ProviderTime"} <= names
    assert ringing(found, found, among=OURS) == set()


def test_a_signing_secret_that_was_rolled_wrongly(story: Story, watched: Measured) -> None:
    story.buys("monthly")
    for event in story.news():
        assert story.world.deliver(event, secret="whsec_anotherOneThatNobodyToldUsOf").status == 400
    story.world.pass_time(LOST_S)
    reconcile()

    found = watched()

    assert ringing(found, among=OURS) >= {"WebhooksRefusedAlarm", "DeliveriesStoppedAlarm", "WebhooksMissedAlarm"}
    assert rings("WebhookFailuresAlarm", found * 20)


def test_deliveries_that_stop_ring_even_if_polls_find_every_payment(story: Story, watched: Measured) -> None:
    story.buys("ten_class_pass")
    story.world.pass_time(5)
    story.world.status(story.token["checkout_id"], customer=story.buyer)
    story.world.pass_time(LOST_S)
    reconcile()

    assert ringing(watched(), among=OURS) == {"DeliveriesStoppedAlarm"}


def test_one_webhook_is_enough_to_show_that_deliveries_go_on(story: Story, watched: Measured) -> None:
    story.buys("ten_class_pass")
    story.hear("payment_intent.succeeded")
    story.world.pass_time(LOST_S)
    reconcile()

    assert ringing(watched(), among=OURS) == {"WebhooksMissedAlarm"}


def test_a_payment_that_the_sweep_found(story: Story, watched: Measured) -> None:
    story.buys("ten_class_pass")
    story.is_swept(LOST_S)

    assert ringing(watched(), among=OURS) == {"WebhooksMissedAlarm"}


@pytest.mark.parametrize("fault", ["missing", "wrong-url", "disabled", "event-types", "unreadable"])
def test_an_endpoint_that_cannot_tell(story: Story, watched: Measured, endpoint: str, wire: Wire, fault: str) -> None:
    endpoints = story.world.stripe.v1.webhook_endpoints
    match fault:
        case "missing":
            endpoints.delete(endpoint)
        case "wrong-url":
            endpoints.update(endpoint, {"url": "https://old.example/webhooks/stripe"})
        case "disabled":
            endpoints.update(endpoint, {"disabled": True})
        case "event-types":
            endpoints.update(endpoint, {"enabled_events": ["checkout.session.completed"]})
        case "unreadable":
            wire.inject("GET /v1/webhook_endpoints", lambda exchange: exchange.answer(403, [], FORBIDDEN))
    story.world.pass_time(600)
    reconcile()
    assert not rings("WebhookEndpointAlarm", watched()), "it is looked at once an hour"

    story.world.pass_time(3_600)
    reconcile()

    found = watched()
    assert values(found, "EndpointFault", reason=fault) == values(found, "EndpointFault") == [1.0]
    assert rings("WebhookEndpointAlarm", found)


FORBIDDEN = b'{"error": {"type": "invalid_request_error", "message": "The key may not do this."}}'


def test_an_event_that_fails_for_the_first_time(story: Story, watched: Measured) -> None:
    story.post("customers", email="eve@example.com")
    (event,) = story.news("customer.created")
    broken = {**event, "type": "customer.subscription.updated", "id": "evt_broken"}
    assert story.world.deliver(broken).status == 200
    story.world.work_queue()

    assert "EventFailedAlarm" in ringing(watched(), among=OURS)


def amount_unreadable(exchange: Exchange) -> None:
    """Answer as Stripe does, with amounts that are no numbers."""
    status, headers, text = exchange.forward()
    found = json.loads(text)
    for session in found["data"]:
        session["amount_total"] = "a lot"
    exchange.answer(status, headers, json.dumps(found).encode())


def test_an_object_that_cannot_be_settled(story: Story, watched: Measured, wire: Wire) -> None:
    story.world.faults(lose=1)
    story.buys("ten_class_pass")
    story.world.faults()
    wire.inject("GET /v1/checkout/sessions?", amount_unreadable)
    story.world.pass_time(HOUR)
    reconcile()

    found = watched()
    assert values(found, "ObjectUnsettled") != []
    assert rings("ObjectUnsettledAlarm", found)
    assert rings("ObjectUnsettledAlarm", found, ()), "rounds are over an hour apart"

    wire.mend()
    story.world.pass_time(HOUR)
    reconcile()

    assert set(story.access) == {"ten_class_pass"}
    assert not rings("ObjectUnsettledAlarm", watched())


def test_a_case_that_is_opened(story: Story, watched: Measured) -> None:
    story.buys("ten_class_pass")
    (event,) = story.news("checkout.session.completed")
    event["data"]["object"] |= {"amount_subtotal": 1, "amount_total": 1}
    assert story.world.deliver(event).status == 200

    assert ringing(watched(), among=OURS) == {"CaseOpenedAlarm"}


def test_a_refund_that_fails_six_times(story: Story, watched: Measured, wire: Wire) -> None:
    story.buys("live_session")
    story.hear()
    wire.inject("POST /v1/refunds", lambda exchange: exchange.answer(403, [], FORBIDDEN))
    story.is_swept(16 * 60)
    for minutes in (2, 3, 5, 9):
        story.is_swept(minutes * 60)
    assert not rings("RefundStuckAlarm", watched())

    story.is_swept(17 * 60)

    found = watched()
    assert ringing(found, among=("CaseOpenedAlarm", "RefundStuckAlarm")) == {"CaseOpenedAlarm", "RefundStuckAlarm"}
    assert rings("RefundStuckAlarm", found, ())


def test_a_sweep_that_is_late(story: Story, watched: Measured) -> None:
    story.opens("ten_class_pass")
    story.world.pass_time(120 + 300)
    story.world.sweep()
    assert not rings("SweepLateAlarm", watched())

    story.opens("day_pass")
    story.world.pass_time(120 + 301)
    story.world.sweep()

    assert rings("SweepLateAlarm", watched())


class TestAProvider:
    def test_that_runs_out_of_time_more_than_ten_times_an_hour(
        self, story: Story, watched: Measured, wire: Wire
    ) -> None:
        story.buys("ten_class_pass")
        event = {**story.news("checkout.session.completed")[0], "api_version": "2024-06-20"}
        wire.inject("GET /v1/checkout/sessions", never_answer)
        story.world.deliver(event)

        found = [one for one in watched() if one.dimensions.get("reason") == "timeout"][:1]

        assert found[0].metric == "ProviderFailed"
        assert not rings("ProviderTimeoutsAlarm", found * 10)
        assert rings("ProviderTimeoutsAlarm", found * 11)

    def test_that_is_down_is_no_time_out(self, story: Story, watched: Measured, wire: Wire) -> None:
        wire.inject("POST /v1/", be_down)
        assert story.world.buy(customer=story.buyer).status == 503

        found = watched()

        assert not rings("ProviderTimeoutsAlarm", found * 20)
        assert {one.dimensions.get("reason") for one in found if one.metric == "ProviderFailed"} == {None, "outage"}


def test_checkouts_that_are_slow_to_open(story: Story, watched: Measured) -> None:
    story.opens("ten_class_pass")
    (quick,) = [one for one in watched() if one.metric == "PaymentTokenTime"]
    slow = Sample(quick.metric, quick.dimensions, 5_001)

    assert not rings("PaymentTokenTimeAlarm", [slow] * 19)
    assert not rings("PaymentTokenTimeAlarm", [quick] * 19 + [slow])
    assert rings("PaymentTokenTimeAlarm", [quick] * 18 + [slow] * 2)


def test_a_secret_that_cannot_be_read(story: Story, watched: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    boto3.client("secretsmanager").create_secret(Name="empty", SecretString="{}")
    monkeypatch.setenv("PAIDUP_STRIPE_SECRET", "empty")
    kept.connect.cache_clear()
    with pytest.raises(kept.BadSecret):
        request("POST /webhooks/stripe", raw="{}", headers={"Stripe-Signature": "t=1,v1=0"})

    found = watched()

    assert rings("SecretUnreadAlarm", found)
    assert rings("WebhookFailuresAlarm", found * 100)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DeadLettersAlarm", 1),
        ("PushFailuresAlarm", 1),
        ("QueueAgeAlarm", 301),
        ("PushAgeAlarm", 30_001),
        ("ApiErrorsAlarm", 5),
        ("BackgroundErrorsAlarm", 1),
        ("ExpireSessionsSilentAlarm", 0),
        ("ReconcilePaymentsSilentAlarm", 0),
    ],
)
def test_what_aws_measures_itself(name: str, value: float) -> None:
    wrong = _of_aws(name, value)
    healthy = _of_aws(name, 1 if name.endswith("SilentAlarm") else 0)

    assert rings(name, wrong, wrong)
    assert not rings(name, healthy, healthy)
    assert rings(name) == name.endswith("SilentAlarm")


def _of_aws(name: str, value: float) -> list[Sample]:
    alarm = ALARMS[name]
    metric = alarm if "MetricName" in alarm else alarm["Metrics"][1]["MetricStat"]["Metric"]
    return [Sample(metric["MetricName"], dimensions_of(metric), value)]


def test_every_alarm_is_rung_by_a_test() -> None:
    text = "".join(path.read_text() for path in Path(__file__).parents[1].rglob("test_*.py"))

    assert [name for name in ALARMS if f'"{name}"' not in text] == []
