"""Reading template.yaml: what the local stack deploys is what the template says."""

import json
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.documents import documents
from tests.local.conftest import ECHO
from tools.local import template
from tools.local.intrinsics import REGION, Resolver
from tools.local.ministack import LOCAL_PARAMETERS
from tools.local.template import ROOT, SocketApi, StreamTrigger, Unreadable

DEPLOYED, WRITTEN = template.read(), template.written()
MERGE_AS_SAM = """
import json, sys
from samtranslator.plugins.globals.globals import Globals

def merge(shared, own):
    return Globals({"Globals": {"Function": shared}}).merge("AWS::Serverless::Function", own)

print(json.dumps([merge(*case) for case in json.load(sys.stdin)]))
"""


def changed(tmp_path: Path, before: str, after: str) -> Path:
    text = ECHO.read_text()
    assert before in text
    path = tmp_path / "template.yaml"
    path.write_text(text.replace(before, after))
    return path


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def resolver(**given: object) -> Resolver:
    refs = {"Table": "paidup-Table", "WebhookQueue": "http://127.0.0.1/queue"}
    refs["WebhookDeadLetters"] = "http://127.0.0.1/dead-letters"
    attributes = {"Table.Arn": "arn:table", "WebhookQueue.Arn": "arn:queue", "WebhookDeadLetters.Arn": "arn:dead"}
    everything = {**LOCAL_PARAMETERS, **given}
    made = Resolver(template=DEPLOYED, given=everything, account="000000000000", refs=refs, attributes=attributes)
    made.put_sockets("wss://sockets")
    return made


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
        "GET /.well-known/jwks.json",
        "GET /account",
        "GET /assets/{proxy+}",
        "GET /cancel",
        "GET /desk",
        "GET /members",  # which the gate guards
        "GET /members-area",
        "GET /offers",
        "GET /openapi.json",
        "GET /sessions",
        "GET /success",
        "POST /client-metrics",
        "POST /webhooks/{provider}",
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


def test_what_several_functions_share_is_said_once_and_each_says_only_its_own() -> None:
    shared = WRITTEN["Globals"]["Function"]
    functions = template.resources(WRITTEN, "AWS::Serverless::Function")
    own = Counter(name for one in functions.values() for name in one.get("Environment", {}).get("Variables", {}))

    assert not set(shared["Environment"]["Variables"]) & set(own)
    assert set(own.values()) == {1}
    for name, one in functions.items():
        assert not [key for key, value in one.items() if shared.get(key) == value], f"{name} says it again"


def test_globals_are_merged_as_sam_merges_them() -> None:
    """SAM itself is asked, in its own environment: about every function, and about a case of each rule."""
    functions = template.resources(WRITTEN, "AWS::Serverless::Function")
    shared = {
        "Environment": {"Variables": {"A": "1", "B": {"Ref": "Shared"}, "C": {"Fn::Sub": "${Shared}"}}},
        "Layers": ["one"],
        "Timeout": 10,
        "Tracing": {"Ref": "Tracing"},
    }
    own = {
        "Environment": {"Variables": {"B": {"Fn::Sub": "${Own}"}, "C": "3", "D": {"Ref": "Own"}}},
        "Layers": ["two"],
        "Tracing": "Active",
        "Timeout": {"Ref": "Long"},
    }
    cases = [(WRITTEN["Globals"]["Function"], one) for one in functions.values()] + [(shared, own)]

    by_sam = subprocess.run(  # noqa: S603 - our own tools
        [ROOT / ".venv/sam/bin/python", "-c", MERGE_AS_SAM], input=json.dumps(cases), capture_output=True, text=True
    )

    assert by_sam.returncode == 0, by_sam.stderr
    assert json.loads(by_sam.stdout) == [template.merged(*case) for case in cases]


def test_no_permission_reaches_beyond_a_named_resource() -> None:
    for function in DEPLOYED.functions.values():
        for policy in resolver()(list(function.policies)):
            for statement in policy["Statement"]:
                assert "*" not in "".join(statement["Action"])
                assert statement["Resource"] not in ("*", ["*"])
                assert "dynamodb:Scan" not in statement["Action"]


def test_nothing_that_was_bought_can_be_deleted_unless_it_is_moved() -> None:
    """Connections and tickets are, by their keys, and what a move gives to another customer."""
    deleting = [
        (function.name, statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"])
        for function in DEPLOYED.functions.values()
        for policy in resolver()(list(function.policies))
        for statement in policy["Statement"]
        if "dynamodb:DeleteItem" in statement["Action"]
    ]
    assert deleting == [
        ("realtime", ["CONNECTIONS#*", "CONNECTION#*", "TICKET#*"]),
        ("push_billing_changes", ["CONNECTIONS#*", "CONNECTION#*"]),
        ("support_desk", ["CUSTOMER#*"]),
    ]


def test_each_function_may_do_what_its_code_does_and_no_more() -> None:
    """What a transaction writes takes PutItem; what is read in a batch, BatchGetItem."""
    table, by_ref, by_due = "arn:table", "arn:table/index/by_ref", "arn:table/index/by_due"
    secret, signing = (
        f"arn:aws:secretsmanager:us-east-1:000000000000:secret:paidup/{name}-??????"
        for name in ("stripe", "signing-keys")
    )
    reads = {("dynamodb:GetItem", table), ("dynamodb:BatchGetItem", table), ("dynamodb:Query", table)}
    changes = reads | {("dynamodb:PutItem", table)}
    sells = changes | {("secretsmanager:GetSecretValue", secret)}
    sockets = "arn:aws:execute-api:us-east-1:000000000000:local/realtime"
    closes = ("execute-api:ManageConnections", f"{sockets}/DELETE/@connections/*")
    posts = ("execute-api:ManageConnections", f"{sockets}/POST/@connections/*")
    account, forgets = {("dynamodb:GetItem", table), ("dynamodb:Query", table)}, ("dynamodb:DeleteItem", table)
    allowed = {
        function.name: {
            (action, resource)
            for policy in resolver()(list(function.policies))
            for statement in policy["Statement"]
            for action in statement["Action"]
            for resource in listed(statement["Resource"])
        }
        for function in DEPLOYED.functions.values()
    }
    assert allowed == {
        "authorize": set(),
        "bookings": changes | {("dynamodb:Query", by_ref)},
        "client_metrics": set(),
        "create_payment_token": sells,
        "expire_sessions": sells | {("dynamodb:Query", by_due), ("dynamodb:UpdateItem", table)},
        "issue_billing_token": {
            ("dynamodb:GetItem", table),
            ("dynamodb:PutItem", table),
            ("secretsmanager:GetSecretValue", signing),
        },
        "manage_checkout": sells,
        "manage_purchase": sells,
        "manual_sync": sells | {("dynamodb:Query", by_ref)},
        "members": {("dynamodb:GetItem", table)},
        "process_webhook": sells | {("dynamodb:Query", by_ref), ("sqs:ChangeMessageVisibility", "arn:queue")},
        "push_billing_changes": account | {forgets, posts, closes},
        "realtime": account | {("dynamodb:PutItem", table), forgets, closes},
        "receive_webhook": sells | {("dynamodb:Query", by_ref), ("sqs:SendMessage", "arn:queue")},
        "reconcile_payments": sells
        | {("dynamodb:Query", by_ref), ("dynamodb:Query", by_due), ("sqs:SendMessage", "arn:queue")},
        "storefront": {("dynamodb:Query", table)},
        "subscription_status": sells,
        "support_desk": sells
        | {("dynamodb:Query", by_ref), forgets, ("sqs:ReceiveMessage", "arn:dead"), ("sqs:DeleteMessage", "arn:dead")},
    }


class TestTheTable:
    def test_outlives_a_mistake(self) -> None:
        """Of an engineer's, of an operator's, and of a deployment's."""
        table = resolver()(DEPLOYED.tables["Table"])
        assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
        assert table["DeletionProtectionEnabled"] == "true"
        kept = WRITTEN["Resources"]["Table"]
        assert kept["DeletionPolicy"] == kept["UpdateReplacePolicy"] == "Retain"

    def test_is_encrypted_under_a_key_whose_use_is_logged(self) -> None:
        assert DEPLOYED.tables["Table"]["SSESpecification"] == {"SSEEnabled": True, "SSEType": "KMS"}

    def test_purges_what_is_long_over(self) -> None:
        purges = {"AttributeName": "purge_at", "Enabled": True}
        assert DEPLOYED.tables["Table"]["TimeToLiveSpecification"] == purges

    def test_tells_what_a_row_was_and_what_it_became(self) -> None:
        assert DEPLOYED.tables["Table"]["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}

    def test_takes_as_much_as_comes(self) -> None:
        assert DEPLOYED.tables["Table"]["BillingMode"] == "PAY_PER_REQUEST"
        assert "ProvisionedThroughput" not in str(DEPLOYED.tables["Table"])


class TestTheStream:
    @pytest.fixture
    def trigger(self) -> StreamTrigger:
        (only,) = DEPLOYED.stream_triggers
        return only

    def test_hands_out_accounts_alone(self, trigger: StreamTrigger) -> None:
        (pattern,) = trigger.patterns
        assert pattern == {"eventName": ["INSERT", "MODIFY"], "dynamodb": {"Keys": {"sk": {"S": ["ACCOUNT"]}}}}

    def test_tries_what_failed_again_by_itself_and_tells_an_alarm_in_the_end(self, trigger: StreamTrigger) -> None:
        assert trigger.partial_failures
        assert trigger.bisect
        assert 1 <= trigger.most_retries <= 10
        assert 60 <= trigger.oldest_s <= 600
        (dimension,) = WRITTEN["Resources"]["PushFailuresAlarm"]["Properties"]["Dimensions"]
        assert dimension["Value"] == {"Fn::GetAtt": f"{trigger.failures}.QueueName"}


class TestTheWebSocketApi:
    @pytest.fixture
    def api(self) -> SocketApi:
        assert DEPLOYED.sockets
        return DEPLOYED.sockets

    def test_lets_one_function_answer_every_route_and_what_it_answers_a_message_goes_back(self, api: SocketApi) -> None:
        assert api.routes == dict.fromkeys(("$connect", "$disconnect", "$default"), "realtime")
        assert api.answered == {"$default"}

    def test_writes_down_no_header_no_query_and_no_message(self) -> None:
        (stage,) = template.resources(WRITTEN, "AWS::ApiGatewayV2::Stage").values()
        assert not re.search(r"header|query|path|body|authorizer", stage["AccessLogSettings"]["Format"], re.IGNORECASE)
        assert stage["DefaultRouteSettings"]["LoggingLevel"] == "OFF"
        assert stage["DefaultRouteSettings"]["DataTraceEnabled"] is False

    def test_takes_so_much_at_once(self) -> None:
        (stage,) = template.resources(WRITTEN, "AWS::ApiGatewayV2::Stage").values()
        settings = resolver()(stage["DefaultRouteSettings"])
        assert (settings["ThrottlingRateLimit"], settings["ThrottlingBurstLimit"]) == (200, 400)


class TestTheApi:
    def test_lets_a_browser_use_every_route(self) -> None:
        assert set(DEPLOYED.cors["allowMethods"]) == {route.method for route in DEPLOYED.routes}

    def test_lets_a_browser_send_and_read_what_the_client_does(self) -> None:
        """The headers that the browser client sets, and those that it reads, beyond what browsers allow everybody."""
        modules = (DEPLOYED.functions["storefront"].code / "client").glob("*.js")
        client = "".join(module.read_text() for module in modules)
        sent = set(re.findall(r'[{,]\s*"?([A-Z][\w-]+)"?: ', client)) - {"Accept"}
        assert {name.lower() for name in sent} == set(DEPLOYED.cors["allowHeaders"])
        read = set(re.findall(r'headers\.get\("([\w-]+)"\)', client)) - {"Content-Type"}
        assert {name.lower() for name in read} == set(DEPLOYED.cors["exposeHeaders"])

    def test_lets_in_the_origins_that_it_is_told_and_no_others(self) -> None:
        assert DEPLOYED.cors["allowOrigins"] == {"Ref": "AllowedOrigins"}
        assert "Default" not in DEPLOYED.parameters["AllowedOrigins"]

    def test_takes_so_much_at_once_and_what_buyers_ask_never_costs_webhooks_their_share(self) -> None:
        (api,) = template.resources(WRITTEN, "AWS::Serverless::HttpApi").values()
        everybody = resolver()(api["DefaultRouteSettings"])
        assert everybody == {"ThrottlingRateLimit": 200, "ThrottlingBurstLimit": 400}
        own = resolver()(api["RouteSettings"])
        assert own == {
            "POST /client-metrics": {"ThrottlingRateLimit": 50, "ThrottlingBurstLimit": 50},
            "POST /webhooks/{provider}": {"ThrottlingRateLimit": 200, "ThrottlingBurstLimit": 1000},
        }
        assert own.keys() <= {route.key for route in DEPLOYED.routes}

    def test_asks_the_authorizer_of_every_request_and_keeps_its_log_for_a_while(self) -> None:
        """Without an identity source nothing is refused in AWS's own words, and no verdict can be cached."""
        (api,) = template.resources(WRITTEN, "AWS::Serverless::HttpApi").values()
        assert "Identity" not in api["Auth"]["Authorizers"]["Identity"]
        log = api["AccessLogSettings"]["DestinationArn"]["Fn::GetAtt"].removesuffix(".Arn")
        assert resolver()(template.resources(WRITTEN, "AWS::Logs::LogGroup")[log])["RetentionInDays"] == 30


def test_what_a_function_logs_is_kept_for_a_while_and_not_for_ever() -> None:
    groups = template.resources(WRITTEN, "AWS::Logs::LogGroup")
    functions = template.resources(WRITTEN, "AWS::Serverless::Function")
    assert set(functions) == {one.logical_id for one in DEPLOYED.functions.values()}
    for function in functions.values():
        group = groups[function["LoggingConfig"]["LogGroup"]["Ref"]]
        name = resolver()(function["FunctionName"])
        assert resolver()(group) == {"LogGroupName": f"/aws/lambda/{name}", "RetentionInDays": 30}


def test_nothing_is_traced_unless_somebody_asks_for_it() -> None:
    assert resolver()(WRITTEN["Globals"]["Function"]["Tracing"]) == "PassThrough"
    assert not [one for one in template.resources(WRITTEN, "AWS::Serverless::Function").values() if "Tracing" in one]


class TestTheOutputs:
    """What a deployment gives out, with every resource called by its logical id."""

    @pytest.fixture
    def deployed(self) -> Resolver:
        known = resolver()
        known.refs = {name: name for name in WRITTEN["Resources"]}
        return known

    @pytest.fixture
    def given_out(self, deployed: Resolver) -> dict[str, str]:
        return {name: deployed(one["Value"]) for name, one in WRITTEN["Outputs"].items()}

    def test_name_nothing_that_is_not_deployed(self, deployed: Resolver) -> None:
        for one in WRITTEN["Outputs"].values():
            assert one["Description"]
            assert deployed(one["Value"])

    def test_hold_whatever_the_documents_send_people_to(self, given_out: dict[str, str]) -> None:
        text = "\n".join(document.read_text() for document in documents())
        named = set(re.findall(r"\b[A-Z]\w+(?:Url|Name)\b", text)) - set(DEPLOYED.parameters)
        assert named >= {"ApiUrl", "StripeWebhookUrl", "TableName", "WebhookDeadLettersUrl"}
        assert named <= set(given_out)

    def test_say_where_the_api_and_its_webhooks_are(self, given_out: dict[str, str]) -> None:
        (api,) = template.resources(WRITTEN, "AWS::Serverless::HttpApi")
        assert given_out["ApiUrl"] == f"https://{api}.execute-api.{REGION}.amazonaws.com"
        (webhook,) = (route for route in DEPLOYED.routes if route.function == "receive_webhook")
        assert given_out["StripeWebhookUrl"] == given_out["ApiUrl"] + webhook.path.replace("{provider}", "stripe")

    def test_say_where_browsers_open_their_sockets(self, deployed: Resolver, given_out: dict[str, str]) -> None:
        assert given_out["RealtimeUrl"] == "wss://sockets/RealtimeStage"
        for name in ("realtime", "push_billing_changes", "storefront"):
            assert deployed.environment(DEPLOYED.functions[name])["PAIDUP_REALTIME_URL"] == given_out["RealtimeUrl"]

    def test_name_what_the_functions_work_with(self, deployed: Resolver, given_out: dict[str, str]) -> None:
        settings = deployed.environment(DEPLOYED.functions["receive_webhook"])
        assert given_out["TableName"] == settings["PAIDUP_TABLE"]
        assert given_out["WebhookQueueUrl"] == settings["PAIDUP_WEBHOOK_QUEUE_URL"]

    def test_lead_to_the_webhooks_that_could_not_be_settled(self, given_out: dict[str, str]) -> None:
        (trigger,) = DEPLOYED.queue_triggers
        (buried, _) = DEPLOYED.queues[trigger.queue]["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"].split(".")
        assert given_out["WebhookDeadLettersUrl"] == buried


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ("Type: Schedule", "Type: S3", "S3"),
        ("RouteKey: $connect,", "RouteKey: $connect, AuthorizationType: CUSTOM,", "authorizer"),
        ("rate(1 hour)", "cron(0 12 * * MON *)", "Hourly"),
        ('!Sub "${AWS::StackName}-work"', "!Base64 work", "Fn::Base64"),
        ("Arn: !GetAtt Authorize.Arn", "Arn: !GetAtt Authorize.Arn, Identity: {Headers: [Authorization]}", "Identity"),
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
