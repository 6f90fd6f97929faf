"""The stand-in against stripe-python's own types: what it takes, what it answers, and no drift between them."""

import importlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stripe
from stripe._request_options import RequestOptions

from tests.contract.conformance import ALWAYS_THERE, complaints, left_out
from tests.contract.drive import ASKS, DAY, FAILS_LATER, Driver
from tools.fakes.stripe import sdk
from tools.fakes.stripe.api import OPERATIONS
from tools.fakes.stripe.wire import Refusal

FIXTURES = os.environ.get("PAIDUP_STRIPE_FIXTURES")
"""Stripe's published example objects (fixtures3.json of stripe/openapi), where an engineer has them."""


@pytest.fixture(scope="module")
def answered(running: Driver) -> dict[str, list[dict[str, Any]]]:
    """Every object that a rich life made, as the API answers it and as events carried it, by kind."""
    found: dict[str, list[dict[str, Any]]] = {}
    failing = _live(running)
    _collect(running, found)
    running.advance(29 * DAY)  # events are listed for 30 days
    _collect(running, found)
    running.advance(25 * DAY)
    assert running.client.v1.subscriptions.retrieve(failing).status == "canceled"
    _collect(running, found)
    return found


def _live(driver: Driver) -> str:
    """Let everything happen that the API knows, and return a subscription that cannot be renewed."""
    v1 = driver.client.v1
    v1.webhook_endpoints.create({"url": "http://127.0.0.1:9/", "enabled_events": ["invoice.paid"]})
    driver.pay(driver.session(), email="guest@example.com")
    driver.pay(driver.session(), "4000000000000002", email="guest@example.com")
    driver.pay(driver.session(), "delayed_failure", email="guest@example.com")
    driver.pay(driver.session(mode="subscription"), "delayed_success", email="guest@example.com")
    driver.pay(driver.session(), ASKS, email="guest@example.com")
    refunded = driver.bought(metadata={"a": "b"}, payment_intent_data={"metadata": {"a": "b"}})
    v1.refunds.create({"payment_intent": str(refunded.payment_intent), "amount": 500})
    failed = v1.refunds.create({"payment_intent": str(driver.bought(card="4000000000005126").payment_intent)})
    driver.dev(f"stripe/refunds/{failed.id}/fail", {})
    dispute = driver.dev("stripe/disputes", {"payment_intent": driver.bought().payment_intent})
    driver.dev(f"stripe/disputes/{dispute['id']}/close", {"status": "won"})
    driver.dev("stripe/disputes", {"payment_intent": driver.bought().payment_intent, "inquiry": True})
    v1.checkout.sessions.expire(driver.session().id)
    _live_with_a_code_and_tax(driver)
    kept = driver.subscribed(metadata={"plan": "gold"})
    v1.subscriptions.pause(kept.id)
    v1.subscriptions.resume(kept.id)
    v1.subscriptions.update(kept.id, {"cancel_at_period_end": True})
    v1.subscriptions.cancel(driver.subscribed(trial_period_days=7).id)
    _change_plans(driver)
    asking = driver.subscribed(trial_period_days=5)
    driver.dev("stripe/cards", {"customer": asking.customer, "card": "4000002760003184"})
    driver.advance(10)
    return driver.subscribed(FAILS_LATER).id


def _change_plans(driver: Driver) -> None:
    """Change plans so that it is invoiced later, now, or only if it is paid; and pause what is left."""
    update = driver.client.v1.subscriptions.update
    for card, payment in (("4242424242424242", "allow_incomplete"), (FAILS_LATER, "pending_if_incomplete")):
        subscription = driver.subscribed(card)
        item = next(iter(subscription.items.data)).id
        driver.advance(DAY)
        for proration in ("create_prorations", "always_invoice"):
            change: Any = {"items": [{"id": item, "quantity": 2 if proration == "always_invoice" else 3}]}
            update(subscription.id, change | {"proration_behavior": proration, "payment_behavior": payment})
        update(subscription.id, {"pause_collection": {"behavior": "void"}})


def _live_with_a_code_and_tax(driver: Driver) -> None:
    """Let a buyer have all that a page can offer: a code, tax, a quantity and a tax id."""
    v1 = driver.client.v1
    coupon = v1.coupons.create({"percent_off": 10, "duration": "forever", "metadata": {"a": "b"}})
    code = v1.promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}, "code": "TENTH"})
    price = {
        "currency": "eur",
        "unit_amount": 1500,
        "product_data": {"name": "Club"},
        "recurring": {"interval": "month"},
    }
    line = {"quantity": 1, "price_data": price, "adjustable_quantity": {"enabled": True}}
    page = driver.session(
        mode="subscription",
        line_items=[line],
        allow_promotion_codes=True,
        automatic_tax={"enabled": True},
        tax_id_collection={"enabled": True},
    )
    form = {
        "promotion_code": code.code,
        "country": "DE",
        "quantity": "3",
        "tax_id": "DE123456789",
        "business_name": "Ada",
    }
    assert driver.pay(page, email="taxed@example.com", **form).status_code == 303


def _collect(driver: Driver, found: dict[str, list[dict[str, Any]]]) -> None:
    for operation in OPERATIONS:
        if operation.method == "GET" and "{}" not in operation.path:
            for obj in _every(driver, operation.path):
                found.setdefault(obj["object"], []).append(obj)
                if obj["object"] == "event":
                    carried = obj["data"]["object"]
                    found.setdefault(carried["object"], []).append(carried)
                if obj["object"] == "checkout.session":
                    found.setdefault("item", []).extend(obj["line_items"]["data"])


def _every(driver: Driver, path: str) -> Iterator[dict[str, Any]]:
    """Return every object of a list, page after page, as the JSON that was answered."""
    params: dict[str, Any] = {} if path == "/v1/account" else {"limit": 100}
    params |= {"/v1/subscriptions": {"status": "all"}}.get(path, {})
    params |= {"/v1/checkout/sessions": {"expand[]": "data.line_items"}}.get(path, {})
    while True:
        page = driver.http.get(f"/stripe{path}", params=params, auth=("sk_test_local", "")).json()
        if page["object"] != "list":
            yield page
            return
        yield from page["data"]
        if not page["has_more"]:
            return
        params["starting_after"] = page["data"][-1]["id"]


def test_every_object_is_what_the_typed_resources_say(answered: dict[str, list[dict[str, Any]]]) -> None:
    wrong = {line for objects in answered.values() for obj in objects for line in complaints(obj)}
    assert not wrong, "\n".join(sorted(wrong))


def test_every_object_has_each_field_that_stripe_always_sends(answered: dict[str, list[dict[str, Any]]]) -> None:
    missing = {line for objects in answered.values() for obj in objects for line in left_out(obj)}
    assert not missing, "\n".join(sorted(missing))


def test_a_field_that_is_left_out_is_found_wherever_it_belongs() -> None:
    item = dict.fromkeys(ALWAYS_THERE["subscription_item"], None) | {"object": "subscription_item"}
    del item["current_trial"]
    assert list(left_out({"data": [item]})) == ["subscription_item.current_trial is left out"]
    charge = {"object": "charge", "payment_method_details": {"card": {}}}
    assert "charge.payment_method_details.card.brand is left out" in list(left_out(charge))


def test_the_life_shows_every_kind_of_object(answered: dict[str, list[dict[str, Any]]]) -> None:
    wanted = "checkout.session customer product price subscription invoice invoice_payment payment_intent"
    more = "payment_method invoiceitem charge refund dispute balance_transaction event webhook_endpoint item coupon"
    more += " promotion_code"
    assert set(f"{wanted} {more}".split()) <= answered.keys()


@pytest.mark.skipif(FIXTURES is None, reason="PAIDUP_STRIPE_FIXTURES names no file of Stripe's example objects")
def test_every_object_has_the_shape_of_stripes_examples(answered: dict[str, list[dict[str, Any]]]) -> None:
    examples = json.loads(Path(FIXTURES or "").read_text())["resources"]
    wrong = set()
    for kind, objects in answered.items():
        if kind in examples and kind != "event":
            for obj in objects:
                wrong |= set(_differences(obj, examples[kind], kind))
    assert not wrong, "\n".join(sorted(wrong))


def _differences(ours: Any, example: Any, path: str) -> list[str]:
    if ours is None or example is None:
        return []
    if isinstance(ours, dict) and isinstance(example, dict):
        shared = ours.keys() & example.keys() if "metadata" not in path else set()
        return [line for name in shared for line in _differences(ours[name], example[name], f"{path}.{name}")]
    if isinstance(ours, list) and isinstance(example, list):
        return [line for each in ours for line in (_differences(each, example[0], f"{path}[]") if example else [])]
    expandable = isinstance(example, dict) and isinstance(ours, str) and "id" in example
    return [] if type(ours) is type(example) or expandable else [f"{path}: {ours!r} where Stripe has {example!r}"]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda op: f"{op.method} {op.path}")
def test_an_operation_takes_the_params_that_the_sdk_types_and_no_other(operation: Any) -> None:
    module = importlib.import_module(f"stripe.params.{operation.params}")
    name = "".join(part.title() for part in operation.params.rpartition(".")[2].strip("_").split("_"))
    typed = getattr(module, name)
    shape = sdk.params(operation.params)
    assert set(shape.fields or {}) == set(typed.__annotations__) - set(RequestOptions.__annotations__)
    with pytest.raises(Refusal) as refused:
        sdk.accept(operation.params, {"nonsense": "1"})
    assert refused.value.error["code"] in ("parameter_unknown", "parameter_missing")


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda op: f"{op.method} {op.path}")
def test_what_an_operation_does_not_model_is_a_param_of_the_sdk(operation: Any) -> None:
    for path in operation.not_modelled:
        shape = sdk.params(operation.params)
        for step in path.split("."):
            inner = shape.items if step == "*" else (shape.fields or {}).get(step)
            assert inner is not None, path
            shape = inner


def test_every_operation_is_one_that_the_sdks_client_calls(running: Driver) -> None:
    source = "".join(
        (Path(stripe.__file__).parent / f"{place}_service.py").read_text()
        for place in (
            "checkout/_session",
            "checkout/_session_line_item",
            "_customer",
            "_customer_payment_method",
            "_payment_method",
            "_product",
            "_price",
            "_coupon",
            "_payment_link",
            "billing_portal/_configuration",
            "billing_portal/_session",
            "_promotion_code",
            "_subscription",
            "_invoice",
            "_invoice_item",
            "_invoice_payment",
            "_payment_intent",
            "_charge",
            "_refund",
            "_balance_transaction",
            "_dispute",
            "_event",
            "_webhook_endpoint",
            "_account",
            "_country_spec",
        )
    )
    for operation in OPERATIONS:
        start = operation.path.partition("{}")[0]
        assert f'"{start}' in source, operation.path


def test_a_refused_param_reads_as_stripe_says_it(running: Driver) -> None:
    cases: tuple[tuple[dict[str, Any], str, str | None], ...] = (
        ({"nope": 1}, "nope", "parameter_unknown"),
        ({"mode": "sell"}, "mode", None),
        ({"line_items": [{"quantity": "x"}]}, "line_items[0][quantity]", "parameter_invalid_integer"),
        ({"line_items": [{"quantity": 1, "size": 3}]}, "line_items[0][size]", "parameter_unknown"),
        (
            {"line_items": [{"price_data": {"unit_amount": 1}}]},
            "line_items[0][price_data][currency]",
            "parameter_missing",
        ),
        ({"allow_promotion_codes": "yes"}, "allow_promotion_codes", None),
        ({"customer": ""}, "customer", "parameter_invalid_empty"),
        ({"line_items": "one"}, "line_items", None),
        ({"mode": {"a": "b"}}, "mode", None),
    )
    for params, param, code in cases:
        with pytest.raises(stripe.InvalidRequestError) as refused:
            running.client.v1.checkout.sessions.create(params)  # type: ignore[arg-type]
        assert (refused.value.param, refused.value.code, refused.value.http_status) == (param, code, 400)
