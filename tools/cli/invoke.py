"""`paidup invoke`: functions called with events, in the local stack, in a deployed one, or in this process."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import boto3
import typer

from tools.cli.options import AsJson, Stack, new_app
from tools.cli.output import Stopped, print_json, waiting
from tools.local import state
from tools.local.cloud import PATIENT, Cloud
from tools.local.worker import Answer
from tools.signing import is_webhook, signed

app = new_app()


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Something that has the functions: how one is called, and how a webhook for it is signed, if that is known."""

    call: Callable[[str, Any], Answer]
    sign: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None


@app.command()
def invoke(
    context: typer.Context,
    calls: Annotated[
        list[str],
        typer.Argument(
            metavar="FUNCTION EVENT",
            help="The name of a folder in functions/, and a JSON file like those in events/. - reads standard input.",
        ),
    ],
    stack: Stack = None,
    in_process: Annotated[
        bool, typer.Option("--in-process", help="Call it in this process, with moto as AWS. No stack has to run.")
    ] = False,
    sign: Annotated[
        bool, typer.Option("--sign", help="Sign webhooks anew. The signatures of samples are too old.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Invoke functions with events, and print what they answer.

    Several functions run one after the other, on the same data. The first one that raises ends it, with exit code 1.
    An HTTP answer is an answer, whatever its status. What functions log in this process goes to standard error.
    With --json, the answers of several functions are one list.

    Example: paidup invoke --in-process subscription_status events/subscription_status.json
    """
    if len(calls) % 2:
        raise typer.BadParameter("Every FUNCTION needs an EVENT.")
    if stack and (in_process or sign):
        raise typer.BadParameter("--stack goes with neither --in-process nor --sign.")
    named = [(function, _event(source)) for function, source in zip(calls[::2], calls[1::2], strict=True)]
    if sign and not any(is_webhook(event) for _, event in named):
        raise Stopped("There is nothing to sign: a webhook has a body of text and a stripe-signature.")
    answers: list[Any] = []
    failed = False
    try:
        with _target(context, stack, in_process=in_process) as target:
            for function, event in named:
                if sign and target.sign and is_webhook(event):
                    event = target.sign(event)
                answer = target.call(function, event)
                answers.append(json.loads(answer.payload or b"null"))
                failed = answer.failed
                if not as_json:
                    _print(answers[-1])
                if failed:
                    break
    finally:
        if as_json and answers:
            print_json(answers if len(named) > 1 else answers[0])
    raise typer.Exit(1 if failed else 0)


@contextmanager
def _target(context: typer.Context, stack: str | None, *, in_process: bool) -> Iterator[Target]:
    if in_process:
        with ExitStack() as running:
            with waiting("Making the table and the queues in this process …"):
                from tools.local import inprocess  # moto takes half a second to load

                functions = running.enter_context(inprocess.running())
            try:
                yield Target(call=functions.invoke, sign=functions.sign)
            except inprocess.NoSuchFunction as error:
                raise Stopped(str(error)) from None
    elif stack:
        yield Target(call=_by(boto3.client("lambda", config=PATIENT), prefix=f"{stack}-"))
    else:
        where = state.announcement(context.obj)
        now = state.clock(context.obj / "clock")

        def sign(event: Mapping[str, Any]) -> Mapping[str, Any]:
            secret, *_ = Cloud.of(where["aws"]).secret(where["stripe_secret"])["webhook_secrets"]
            return signed(event, secret, at=int(now()))

        yield Target(call=_by(Cloud(endpoint=where["invocations_url"]).client("lambda")), sign=sign)


def _by(client: Any, prefix: str = "") -> Callable[[str, Any], Answer]:
    """Return how a function is called by Lambda's API."""

    def call(function: str, event: Any) -> Answer:
        with waiting(f"Waiting for {function} …"):
            answer = client.invoke(FunctionName=prefix + function, Payload=json.dumps(event).encode())
            return Answer(payload=answer["Payload"].read(), failed="FunctionError" in answer)

    return call


def _event(source: str) -> Any:
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text()
        return json.loads(text)
    except OSError as error:
        raise Stopped(f"{source} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise Stopped(f"{source} is not JSON: {error}.") from None


def _print(answer: Any) -> None:
    """Print *answer* as it is, or one over HTTP as people read it: status, headers, body."""
    if not isinstance(answer, dict) or "statusCode" not in answer:
        print_json(answer)
        return
    print(f"HTTP {answer['statusCode']}")
    for name, value in _headers(answer):
        print(f"{name.lower()}: {value}")
    print()
    body = answer.get("body") or ""
    try:
        print_json(json.loads(body))
    except ValueError:
        print(body)


def _headers(answer: Mapping[str, Any]) -> Sequence[tuple[str, Any]]:
    many = answer.get("multiValueHeaders") or {}
    return [*(answer.get("headers") or {}).items(), *((name, one) for name, ones in many.items() for one in ones)]
