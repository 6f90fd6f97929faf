"""The command `paidup`: what engineers do to a running paidup, on this machine or on AWS."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from logging import StreamHandler
from pathlib import Path
from typing import Any, TextIO, cast

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from paidup.edge.services import open_services
from paidup.flows.services import Services
from paidup.model.errors import Refusal
from paidup.outside.dynamo.table import Table
from paidup.outside.log import logger
from paidup.outside.secrets import BadSecret

from tools import offers, support
from tools.local import state
from tools.local.cloud import PATIENT, Cloud
from tools.signing import signed

LIKE = "expire_sessions"  # the function whose settings support works with: it gives money back, too


class Stopped(Exception):
    """The command cannot do what it was asked for; the message says why, in one sentence."""


def main(argv: list[str] | None = None) -> int:
    """Run the command line *argv*; return 0 when it did what it was asked for."""
    given = _parser().parse_args(argv)
    run: Callable[[argparse.Namespace], int] = given.run
    try:
        with log_aside():
            return run(given)
    except (Stopped, state.NotRunning, offers.BadOffers, BadSecret, Refusal, BotoCoreError, ClientError) as error:
        print(f"paidup: {error}", file=sys.stderr)
        return 1


@contextmanager
def log_aside() -> Iterator[None]:
    """Send the log to standard error while the block runs: standard output is for what was asked for."""
    handler = cast("StreamHandler[TextIO]", logger.registered_handler)
    before = handler.stream
    handler.setStream(sys.stderr)
    try:
        yield
    finally:
        handler.setStream(before)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="paidup", description=__doc__)
    parser.add_argument("--folder", type=Path, default=state.FOLDER, help="the local stack's folder (.paidup)")
    commands = parser.add_subparsers(title="commands", required=True)

    invoke = commands.add_parser("invoke", help="invoke one function with an event, and print its answer")
    invoke.add_argument("function", help="the name of its folder in functions/")
    invoke.add_argument("event", help="a JSON file, like those in events/; - reads standard input")
    where = invoke.add_mutually_exclusive_group()
    where.add_argument("--stack", help="the deployed stack to invoke it in; the local one, if none is named")
    where.add_argument("--sign", action="store_true", help="sign a webhook anew, as the local stack's Stripe does now")
    invoke.set_defaults(run=_invoke)

    on_sale = commands.add_parser("offers", help="what is on sale").add_subparsers(required=True)
    load = on_sale.add_parser("load", help="put the offers of a file on sale")
    load.add_argument("file", type=Path, nargs="?", default=offers.PATH, help="tools/offers.toml, if none is named")
    load.set_defaults(run=_load_offers)
    listing = on_sale.add_parser("list", help="show what is on sale")
    listing.set_defaults(run=_list_offers)
    for one in (load, listing):
        one.add_argument("--table", help="the deployed table, by AWS credentials; the local one, if none is named")

    attention = commands.add_parser("attention", help="list the events that failed and the payments in quarantine")
    attention.set_defaults(run=lambda given: support.attention(_services(given)))
    decide = commands.add_parser("support", help="decide about a payment").add_subparsers(required=True)
    grant = decide.add_parser("grant", help="grant what was bought, though another amount was paid than was asked for")
    refund = decide.add_parser("refund", help="give back what was paid; a subscription ends, too")
    for one, granted in ((grant, True), (refund, False)):
        one.add_argument("customer", help="the customer's id")
        one.add_argument("purchase_id", metavar="pass", help="the pass's id, which is its checkout's, too")
        one.set_defaults(grant=granted, run=_decide)
    for one in (attention, grant, refund):
        one.add_argument("--stack", help="the deployed stack, by AWS credentials; the local one, if none is named")
    return parser


def _invoke(given: argparse.Namespace) -> int:
    """Print the function's answer; fail when the function failed."""
    text = sys.stdin.read() if given.event == "-" else _text(Path(given.event))
    try:
        event = json.loads(text)
    except json.JSONDecodeError as error:
        raise Stopped(f"{given.event} is not JSON: {error}.") from None
    if given.stack:
        client, name = boto3.client("lambda", config=PATIENT), f"{given.stack}-{given.function}"
    else:
        where = state.announcement(given.folder)
        client, name = Cloud(endpoint=where["invocations_url"]).client("lambda"), given.function
        event = _signed(event, where, given) if given.sign else event
    answer = client.invoke(FunctionName=name, Payload=json.dumps(event).encode())
    print(json.dumps(json.loads(answer["Payload"].read() or b"null"), indent=2, ensure_ascii=False))
    return 1 if "FunctionError" in answer else 0


def _signed(event: Any, where: Mapping[str, Any], given: argparse.Namespace) -> dict[str, Any]:
    """Return *event*, a webhook, signed with the local stack's own secret at the time of its own clock."""
    if not isinstance(event, dict) or not isinstance(event.get("body"), str) or event.get("isBase64Encoded"):
        raise Stopped(f"{given.event} is no webhook that can be signed: it has no body of text.")
    secret, *_ = Cloud.of(where["aws"]).secret(where["stripe_secret"])["webhook_secrets"]
    return signed(event, secret, at=int(state.clock(given.folder / "clock")()))


def _load_offers(given: argparse.Namespace) -> int:
    found = offers.read(given.file)
    offers.load(_table(given), found)
    print(f"{len(found)} offers are on sale: {', '.join(one.offer_id for one in found)}.")
    return 0


def _list_offers(given: argparse.Namespace) -> int:
    for one in _table(given).offers():
        every = f" a {one.interval}" if one.interval else ""
        print(f"{one.offer_id:20} {one.kind:14} {one.amount:>10} {one.currency}{every:10} {one.name}")
    return 0


def _decide(given: argparse.Namespace) -> int:
    return support.decide(given.customer, given.purchase_id, _services(given), grant=given.grant)


def _services(given: argparse.Namespace) -> Services:
    """Return the shop as the functions have it, of the deployed stack that is named or of the local one."""
    if given.stack:
        configured = boto3.client("lambda").get_function_configuration(FunctionName=f"{given.stack}-{LIKE}")
        os.environ |= configured["Environment"]["Variables"]
    else:
        where = state.announcement(given.folder)
        os.environ |= where["aws"] | where["settings"][LIKE] | {"PAIDUP_CLOCK_FILE": str(given.folder / "clock")}
    return open_services()


def _table(given: argparse.Namespace) -> Table:
    """Return the deployed table that is named, or the local stack's."""
    if given.table:
        return Table(client=boto3.client("dynamodb"), name=given.table)
    where = state.announcement(given.folder)
    return Cloud.of(where["aws"]).table(where["table"])


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError as error:
        raise Stopped(f"{file} cannot be read: {error.strerror}.") from None


if __name__ == "__main__":
    raise SystemExit(main())
