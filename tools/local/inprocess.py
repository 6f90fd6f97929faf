"""The functions in this process: handlers of template.yaml against moto in place of AWS and the stand-ins.

For a quick look and for a debugger: nothing has to run before, and nothing stays behind.
"""

import json
import os
import select
import socket
import sys
import tempfile
import time
import traceback
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.request import urlopen

from awslambdaric.lambda_context import LambdaContext  # type: ignore[import-untyped]
from awslambdaric.lambda_runtime_marshaller import to_json  # type: ignore[import-untyped]
from moto import mock_aws

from tools.local import children, deployment, template
from tools.local.cloud import Cloud
from tools.local.deployment import Addresses, Deployment, StripeAccount
from tools.local.intrinsics import REGION
from tools.local.worker import Answer, Code
from tools.signing import signed

ACCOUNT = "123456789012"  # moto's own
FRONT_DOOR = 8787  # where buyers would be sent back to; nobody listens there
HIDDEN = ("AWS_", "PAIDUP_", "POWERTOOLS_")
AWS = {
    "AWS_ACCOUNT_ID_ENDPOINT_MODE": "disabled",  # moto knows no endpoints with an account's id in them
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


class NoSuchFunction(Exception):
    """A function that the template does not have. The message names those that it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InProcess:
    """The functions of a deployment, called in this process one event after the other."""

    deployed: Deployment

    def sign(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Return *event*, a webhook, as the stand-in for Stripe would sign it now."""
        secret, *_ = self.deployed.at.aws.secret(self.deployed.stripe_secret)["webhook_secrets"]
        return signed(event, secret, at=int(time.time()))

    def invoke(self, name: str, event: Any) -> Answer:
        """Return the answer of the function *name* to *event* (JSON), or the error that it ended with.

        What the function prints goes to standard error. Raises NoSuchFunction.
        """
        functions = self.deployed.template.functions
        if name not in functions:
            raise NoSuchFunction(f"Function not found: {name}. There are {', '.join(sorted(functions))}.")
        function = functions[name]
        if (
            name == self.deployed.template.authorizer
        ):  # it waits 2 s for keys, and loading the stand-ins is none of that
            urlopen(f"{self.deployed.at.fakes_url}/").close()
        request_id = str(uuid.uuid4())
        with self._environment(function), redirect_stdout(sys.stderr):
            deadline_ms = int((time.time() + function.timeout_s) * 1000)
            arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
            context = LambdaContext(request_id, None, None, deadline_ms, arn)
            try:
                return Answer(payload=to_json(_handler(function)(event, context)).encode())
            except Exception as error:
                return _failure(error, request_id)

    @contextmanager
    def _environment(self, function: template.Function) -> Iterator[None]:
        """Let the process have the environment that the template gives *function*, and none of the engineer's AWS."""
        own = self.deployed.resolver.environment(function) | self.deployed.at.aws.environment | AWS
        with _variables(Code.of(function, path=(), environment=own).process_environment(runtime_api="")):
            yield


@contextmanager
def running() -> Iterator[InProcess]:
    """Make what template.yaml describes in moto, with the offers of tools/offers.toml on sale, while the block runs.

    with running() as functions:
        answer = functions.invoke("subscription_status", event)
    """
    with tempfile.TemporaryDirectory(prefix="paidup-") as folder, _variables(AWS), _stand_ins(Path(folder)) as port:
        at = Addresses(port=FRONT_DOOR, fakes_port=port, invocations_port=0, aws=Cloud(endpoint=None, account=ACCOUNT))
        with mock_aws():
            yield InProcess(deployed=deployment.deploy(template.read(), at, StripeAccount()))


@contextmanager
def _variables(wanted: Mapping[str, str]) -> Iterator[None]:
    """Set the variables *wanted* in the environment while the block runs, and hide what is AWS's or paidup's there."""
    before = dict(os.environ)
    for name in before:
        if name.startswith(HIDDEN):
            del os.environ[name]
    os.environ.update(wanted)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _stand_ins(state: Path) -> Iterator[int]:
    """Listen in place of Stripe and the identity provider while the block runs; return the port.

    The stand-ins start with the first request: loading them takes as long as everything else, and many events ask
    neither of the two.
    """
    listener, (ended, end) = children.listen(), socket.socketpair()
    thread = Thread(target=_answer, args=(listener, ended, state), name="fakes", daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        end.close()
        thread.join()
        ended.close()
        listener.close()


def _answer(listener: socket.socket, ended: socket.socket, state: Path) -> None:
    ready, _, _ = select.select([listener, ended], [], [])
    if ended not in ready:
        from tools.fakes.server import serve  # see _stand_ins: not before somebody asks

        with serve(state=state, sock=listener):
            select.select([ended], [], [])


def _failure(error: Exception, request_id: str) -> Answer:
    """Return *error* as Lambda answers it, and print where it came from."""
    frames = error.__traceback__.tb_next if error.__traceback__ else None  # the first frame is ours
    traceback.print_exception(type(error), error, frames)
    told = {
        "errorMessage": str(error),
        "errorType": type(error).__name__,
        "requestId": request_id,
        "stackTrace": traceback.format_tb(frames),
    }
    return Answer(payload=json.dumps(told).encode(), failed=True)


def _handler(function: template.Function) -> Callable[[Any, LambdaContext], Any]:
    module, _, name = function.handler.rpartition(".")
    handler: Callable[[Any, LambdaContext], Any] = getattr(import_module(f"functions.{function.name}.{module}"), name)
    return handler
