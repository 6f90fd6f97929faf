"""Reading template.yaml: what the local stack deploys is what the template says."""

from pathlib import Path

import pytest

from tests.local.conftest import ECHO
from tools.local import template
from tools.local.intrinsics import Resolver
from tools.local.template import Unreadable

DEPLOYED = template.read()


def changed(tmp_path: Path, before: str, after: str) -> Path:
    text = ECHO.read_text()
    assert before in text
    path = tmp_path / "template.yaml"
    path.write_text(text.replace(before, after))
    return path


def resolver(**given: object) -> Resolver:
    refs = {"Table": "paidup-Table", "WebhookQueue": "http://127.0.0.1/queue"}
    attributes = {"Table.Arn": "arn:table", "WebhookQueue.Arn": "arn:queue"}
    return Resolver(template=DEPLOYED, given=given, account="000000000000", refs=refs, attributes=attributes)


def test_every_function_of_the_template_has_its_folder_and_a_sample_event() -> None:
    events = template.ROOT / "events"
    for function in DEPLOYED.functions.values():
        assert (function.code / "app.py").exists(), function.name
        assert (events / f"{function.name}.json").exists(), function.name
    assert {path.parent.name for path in template.ROOT.glob("functions/*/app.py")} == set(DEPLOYED.functions)


def test_only_what_anybody_may_see_is_public() -> None:
    public = {route.key for route in DEPLOYED.routes if not route.protected}
    assert public == {
        "GET /",
        "GET /account",
        "GET /assets/{proxy+}",
        "GET /cancel",
        "GET /offers",
        "GET /openapi.json",
        "GET /sessions",
        "GET /success",
        "POST /webhooks/stripe",
    }


def test_the_queue_waits_six_times_as_long_as_its_worker_may_take() -> None:
    for trigger in DEPLOYED.queue_triggers:
        worker = DEPLOYED.functions[trigger.function]
        assert DEPLOYED.queues[trigger.queue]["VisibilityTimeout"] >= 6 * worker.timeout_s
        assert trigger.partial_failures


def test_what_the_api_waits_for_ends_before_the_api_gives_up() -> None:
    for route in DEPLOYED.routes:
        assert DEPLOYED.functions[route.function].timeout_s < 30
    for schedule in DEPLOYED.schedules:
        assert DEPLOYED.functions[schedule.function].timeout_s < schedule.every_s


def test_a_functions_settings_come_from_parameters_and_resources() -> None:
    environment = resolver(AllowedOrigins=["https://a.example", "https://b.example"], GraceSeconds=60).environment(
        DEPLOYED.functions["create_payment_token"]
    )
    assert environment["PAIDUP_TABLE"] == "paidup-Table"
    assert environment["PAIDUP_ALLOWED_ORIGINS"] == "https://a.example,https://b.example"
    assert environment["PAIDUP_GRACE_S"] == "60"
    assert environment["PAIDUP_CHECKOUT_LIFETIME_S"] == "86400"
    assert environment["PAIDUP_STRIPE_API_BASE"] == ""
    assert "PAIDUP_CLOCK_FILE" not in environment


def test_no_permission_reaches_beyond_a_named_resource() -> None:
    for function in DEPLOYED.functions.values():
        for policy in resolver()(list(function.policies)):
            for statement in policy["Statement"]:
                assert "*" not in "".join(statement["Action"])
                assert statement["Resource"] not in ("*", ["*"])
                assert not set(statement["Action"]) & {"dynamodb:Scan", "dynamodb:DeleteItem"}


def test_only_who_reads_by_an_index_or_in_batches_may() -> None:
    def may(action: str, resource: str) -> set[str]:
        """Return the functions that may do *action* to *resource*."""
        resolved = {one.name: resolver()(list(one.policies)) for one in DEPLOYED.functions.values()}
        allowed = {name: [each for policy in found for each in policy["Statement"]] for name, found in resolved.items()}
        return {
            name
            for name, statements in allowed.items()
            if any(action in each["Action"] and each["Resource"] == resource for each in statements)
        }

    assert may("dynamodb:Query", "arn:table/index/by_ref") == {"bookings", "manual_sync", "process_webhook"}
    assert may("dynamodb:Query", "arn:table/index/by_due") == {"expire_sessions"}
    assert may("dynamodb:BatchGetItem", "arn:table") == {"manage_checkout", "subscription_status"}


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ("Type: Schedule", "Type: S3", "S3"),
        ("rate(1 hour)", "cron(0 12 * * MON *)", "Hourly"),
        ('!Sub "${AWS::StackName}-work"', "!Base64 work", "Fn::Base64"),
        ("TABLE: !Ref Table", "TABLE: !Ref Nowhere", "Nowhere"),
        ("TABLE: !Ref Table", "TABLE: !GetAtt Table.Colour", "Table.Colour"),
        ("TABLE: !Ref Table", "TABLE: !Ref AllowedOrigins", "AllowedOrigins"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, before: str, after: str, named: str) -> None:
    path = changed(tmp_path, before, after)

    def read() -> None:
        described = template.read(path)
        known = Resolver(template=described, given={}, account="0", refs={"Table": "t"})
        for function in described.functions.values():
            known.environment(function)

    with pytest.raises(Unreadable, match=named):
        read()
