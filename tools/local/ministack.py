"""MiniStack, which stands in for AWS: how it is started and how a test gets an account at it."""

import itertools
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools import signing_keys
from tools.local import template
from tools.local.children import NotStarted, end_with_parent
from tools.local.cloud import SECRET_KEY, Cloud
from tools.local.template import ROOT

PYTHON = ROOT / ".venv/ministack/bin/python"
SERVICES = "dynamodb,dynamodbstreams,sqs,secretsmanager,iam"
START_S = 60

# What the template's parameters without a default are, where nobody says otherwise.
LOCAL_PARAMETERS: Mapping[str, Any] = {
    "PublicUrl": "http://127.0.0.1:8787",
    "AllowedOrigins": ["http://127.0.0.1:8787"],
    "IdentityIssuer": "http://127.0.0.1:8788/identity",
    "IdentityAudience": "paidup",
    "IdentityJwksUrl": "http://127.0.0.1:8788/identity/.well-known/jwks.json",
}
LOCAL_GATEWAY = "ws://127.0.0.1:8787"
STRIPE_SECRET = {"api_key": "sk_test_local", "webhook_secrets": ["whsec_localstackonly000000000000"]}


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def command(port: int, state: Path, *, permissions: bool) -> tuple[list[str], dict[str, str]]:
    """Return how MiniStack is started on *port*, with its data under *state*/aws: the command and its environment.

    With *permissions*, it refuses everything that the caller's policies do not allow. If it is killed, it leaves large
    temporary folders in *state*/tmp. They must be wiped afterwards.
    """
    if not PYTHON.exists():
        raise NotStarted("MiniStack is not installed yet: run `make setup`.")
    temporary = state / "tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(temporary),
        "TMPDIR": str(temporary),
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "SERVICES": SERVICES,
        "AUTH": "true" if permissions else "false",
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "PERSIST_STATE": "1",
        "STATE_DIR": str(state / "aws"),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
    }
    return [str(PYTHON), "-m", "ministack"], environment


def wait_until_ready(endpoint: str, alive: Callable[[], bool]) -> None:
    """Return as soon as MiniStack answers at *endpoint*. Raises NotStarted if it ends first or takes 30 s."""
    until = time.monotonic() + START_S
    while time.monotonic() < until and alive():
        try:
            with urllib.request.urlopen(f"{endpoint}/_ministack/ready", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise NotStarted("MiniStack did not start: see ministack.log.")


@dataclass(frozen=True, slots=True)
class Running:
    """A MiniStack that runs for tests."""

    endpoint: str
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(100_000_000_001))
    _described: template.Template = field(default_factory=template.read)  # once, and not for each account

    def account(self, **parameters: Any) -> dict[str, str]:
        """Open a fresh account with the template's table and queues, all empty, and with the local secrets.

        Returns the environment in which every function finds its settings and boto3 finds that account.
        *parameters* sets parameters of the template.
        """
        described = self._described
        cloud = Cloud(endpoint=self.endpoint, account=str(next(self._numbers)))
        resolver = cloud.deploy(described, {**LOCAL_PARAMETERS, **parameters}, gateway=LOCAL_GATEWAY)
        environment = dict(cloud.environment)
        for function in described.functions.values():
            environment |= resolver.environment(function)
        cloud.put_secret(environment["PAIDUP_STRIPE_SECRET"], STRIPE_SECRET)
        cloud.put_secret(environment["PAIDUP_SIGNING_KEYS_SECRET"], signing_keys.first())
        return environment


@contextmanager
def running() -> Iterator[Running]:
    """Run MiniStack alone on a free port until the block ends. Nothing of it stays.

    with running() as aws:
        environment = aws.account()
    """
    with tempfile.TemporaryDirectory(prefix="paidup-ministack-") as folder:
        state, port = Path(folder), free_port()
        argv, environment = command(port, state, permissions=False)
        with (state / "ministack.log").open("wb") as log:
            process = subprocess.Popen(
                argv, env=environment, stdout=log, stderr=log, start_new_session=True, preexec_fn=end_with_parent
            )
        try:
            endpoint = f"http://127.0.0.1:{port}"
            wait_until_ready(endpoint, lambda: process.poll() is None)
            yield Running(endpoint)
        finally:
            process.kill()
            process.wait()
