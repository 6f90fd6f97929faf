"""What template.yaml says: the tables, queues, functions, triggers, schedules, routes and sockets that it deploys.

Reads the template as CloudFormation and SAM do, as far as it goes there; what it cannot read, it names.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

try:
    from yaml import CSafeLoader as SafeLoader  # ten times as fast
except ImportError:  # where PyYAML was built without libyaml
    from yaml import SafeLoader  # type: ignore[assignment]

ROOT = Path(__file__).parents[2]
PATH = ROOT / "template.yaml"

Properties = dict[str, Any]


class Unreadable(Exception):
    """Something in the template that this reader does not know. The message says what and where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """An HTTP route: `method` and `path` as API Gateway spells them, and whether it asks for a token."""

    method: str
    path: str
    function: str
    protected: bool

    @property
    def key(self) -> str:
        """The route as events carry it, like `GET /offers`."""
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueTrigger:
    """A queue that a function works on, by the queue's logical id."""

    function: str
    queue: str
    batch_size: int
    partial_failures: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamTrigger:
    """A table, by its logical id, whose stream a function works on.

    Of the stream's records only those that match one of the `patterns` are handed out. The records of one key stay in
    their order within one of the `lanes`. What fails too often, or gets too old, is told to the queue `failures`.
    """

    function: str
    table: str
    start: str
    patterns: tuple[Properties, ...]
    batch_size: int
    lanes: int
    partial_failures: bool
    bisect: bool
    most_retries: int
    oldest_s: int
    failures: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketApi:
    """A WebSocket API by its logical id, with its one stage.

    `routes` says which function answers a route. What it answers goes back to the client on the routes that are
    `answered`. A message that is a JSON object goes to the route that its field `selects` names, if there is one.
    """

    api: str
    stage: str
    name: str
    selects: str
    routes: Mapping[str, str]
    answered: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A function that runs every `every_s` seconds."""

    function: str
    rule: str
    every_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function as the template describes it. `name` is the name of its folder."""

    name: str
    logical_id: str
    code: Path
    handler: str
    timeout_s: int
    memory_mb: int
    environment: Mapping[str, Any]
    policies: tuple[Properties, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """The template, read."""

    parameters: Mapping[str, Properties]
    conditions: Mapping[str, Any]
    tables: Mapping[str, Properties]
    queues: Mapping[str, Properties]
    functions: Mapping[str, Function]
    routes: tuple[Route, ...]
    queue_triggers: tuple[QueueTrigger, ...]
    stream_triggers: tuple[StreamTrigger, ...]
    sockets: SocketApi | None
    schedules: tuple[Schedule, ...]
    authorizer: str
    cors: Properties


def written(path: Path = PATH) -> Properties:
    """Return the template at *path* as it is written, CloudFormation's short forms as their long ones."""
    document: Properties = yaml.load(path.read_text(), Loader=_Loader)  # noqa: S506 - a SafeLoader that knows those too
    return document


def resources(document: Properties, kind: str) -> dict[str, Properties]:
    """Return the properties of *document*'s resources of the type *kind*, by their logical ids."""
    return {name: one["Properties"] for name, one in document["Resources"].items() if one["Type"] == kind}


def read(path: Path = PATH) -> Template:
    """Return what the template at *path* deploys. Raises Unreadable for what it does not understand."""
    document = written(path)
    of_type = partial(resources, document)
    shared = document.get("Globals", {}).get("Function", {})
    described = of_type("AWS::Serverless::Function")
    functions = [_function(name, own, shared, path.parent) for name, own in described.items()]
    names = {one.logical_id: one.name for one in functions}
    events = [
        (names[logical_id], logical_id + name, event["Type"], event.get("Properties", {}))
        for logical_id, own in described.items()
        for name, event in own.get("Events", {}).items()
    ]
    if unknown := {kind for _, _, kind, _ in events} - {"HttpApi", "SQS", "DynamoDB", "Schedule"}:
        raise Unreadable(f"template.yaml has events of type {', '.join(sorted(unknown))}: teach tools/local them.")
    (api,) = of_type("AWS::Serverless::HttpApi").values()
    authorizer = api["Auth"]["Authorizers"][api["Auth"]["DefaultAuthorizer"]]
    if "Identity" in authorizer:
        raise Unreadable("The authorizer has an Identity; the local stack asks it every time, and keeps no verdict.")
    return Template(
        parameters=document.get("Parameters", {}),
        conditions=document.get("Conditions", {}),
        tables=of_type("AWS::DynamoDB::Table"),
        queues=of_type("AWS::SQS::Queue"),
        functions={one.name: one for one in functions},
        routes=tuple(_route(function, own) for function, _, kind, own in events if kind == "HttpApi"),
        queue_triggers=tuple(_queue_trigger(function, own) for function, _, kind, own in events if kind == "SQS"),
        stream_triggers=tuple(
            _stream_trigger(function, own) for function, _, kind, own in events if kind == "DynamoDB"
        ),
        sockets=_sockets(of_type, names),
        schedules=tuple(_schedule(function, rule, own) for function, rule, kind, own in events if kind == "Schedule"),
        authorizer=names[authorizer["FunctionArn"]["Fn::GetAtt"].partition(".")[0]],
        cors=api["DefinitionBody"]["x-amazon-apigateway-cors"],
    )


def _function(logical_id: str, own: Properties, shared: Properties, root: Path) -> Function:
    whole = merged(shared, own)
    return Function(
        name=Path(whole["CodeUri"]).name,
        logical_id=logical_id,
        code=root / whole["CodeUri"],
        handler=whole["Handler"],
        timeout_s=whole["Timeout"],
        memory_mb=whole["MemorySize"],
        environment=whole.get("Environment", {}).get("Variables", {}),
        policies=tuple(whole.get("Policies", ())),
    )


def merged(shared: Any, own: Any) -> Any:
    """Return a function's *own* properties with those that `Globals` shares, merged as SAM merges them.

    Maps are merged, lists are joined, anything else is replaced. An intrinsic function (`!Ref …`) is no map.
    """
    if _is_map(shared) and _is_map(own):
        both = {name: merged(value, own[name]) for name, value in shared.items() if name in own}
        return {**shared, **own, **both}
    if isinstance(shared, list) and isinstance(own, list):
        return [*shared, *own]
    return own


def is_intrinsic(value: Any) -> bool:
    """Say whether *value* is an intrinsic function in its long form."""
    if not isinstance(value, dict) or len(value) != 1:
        return False
    (key,) = value
    return key in ("Ref", "Condition") or key.startswith("Fn::")


def _is_map(value: Any) -> bool:
    return isinstance(value, dict) and not is_intrinsic(value)


def _route(function: str, own: Properties) -> Route:
    public = own.get("Auth", {}).get("Authorizer") == "NONE"
    return Route(method=own["Method"], path=own["Path"], function=function, protected=not public)


def _queue_trigger(function: str, own: Properties) -> QueueTrigger:
    return QueueTrigger(
        function=function,
        queue=own["Queue"]["Fn::GetAtt"].partition(".")[0],
        batch_size=own.get("BatchSize", 10),
        partial_failures="ReportBatchItemFailures" in own.get("FunctionResponseTypes", ()),
    )


def _stream_trigger(function: str, own: Properties) -> StreamTrigger:
    """Return the trigger with the defaults of Lambda, except that it does not try for good."""
    filters = own.get("FilterCriteria", {}).get("Filters", ())
    return StreamTrigger(
        function=function,
        table=own["Stream"]["Fn::GetAtt"].partition(".")[0],
        start=own["StartingPosition"],
        patterns=tuple(json.loads(one["Pattern"]) for one in filters),
        batch_size=own.get("BatchSize", 100),
        lanes=own.get("ParallelizationFactor", 1),
        partial_failures="ReportBatchItemFailures" in own.get("FunctionResponseTypes", ()),
        bisect=own.get("BisectBatchOnFunctionError", False),
        most_retries=own["MaximumRetryAttempts"],
        oldest_s=own["MaximumRecordAgeInSeconds"],
        failures=own["DestinationConfig"]["OnFailure"]["Destination"]["Fn::GetAtt"].partition(".")[0],
    )


def _sockets(of_type: Callable[[str], dict[str, Properties]], names: Mapping[str, str]) -> SocketApi | None:
    """Return the WebSocket API, or None if the template has none. *names* are the functions' names by logical id."""
    apis = [name for name, one in of_type("AWS::ApiGatewayV2::Api").items() if one["ProtocolType"] == "WEBSOCKET"]
    if not apis:
        return None
    (api,), ((stage, staged),) = apis, of_type("AWS::ApiGatewayV2::Stage").items()
    integrations, routes = of_type("AWS::ApiGatewayV2::Integration"), of_type("AWS::ApiGatewayV2::Route")
    if any(route.get("AuthorizationType", "NONE") != "NONE" for route in routes.values()):
        raise Unreadable("The WebSocket API has an authorizer; the local stack knows functions that let in themselves.")
    selected = of_type("AWS::ApiGatewayV2::Api")[api]["RouteSelectionExpression"]
    responses = of_type("AWS::ApiGatewayV2::RouteResponse").values()
    return SocketApi(
        api=api,
        stage=stage,
        name=staged["StageName"],
        selects=selected.removeprefix("$request.body."),
        routes={
            route["RouteKey"]: names[_named_in(integrations[_named_in(route["Target"])]["IntegrationUri"], ".Arn")]
            for route in routes.values()
        },
        answered=frozenset(routes[response["RouteId"]["Ref"]]["RouteKey"] for response in responses),
    )


def _named_in(text: Properties, attribute: str = "") -> str:
    """Return the one resource of the template that `!Sub` *text* names, with its *attribute*."""
    (name,) = re.findall(r"\$\{(\w+)" + re.escape(attribute) + r"\}", text["Fn::Sub"])
    return str(name)


def _schedule(function: str, rule: str, own: Properties) -> Schedule:
    found = re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", own["Schedule"])
    if not found:
        raise Unreadable(f"{rule} runs at {own['Schedule']}; the local stack knows rate(…) alone.")
    every_s = int(found[1]) * {"minute": 60, "hour": 3_600, "day": 86_400}[found[2]]
    return Schedule(function=function, rule=rule, every_s=every_s)


class _Loader(SafeLoader):
    """YAML with CloudFormation's short forms (`!Ref`, `!GetAtt`, …), read as their long ones."""


def _short_form(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Properties:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)
