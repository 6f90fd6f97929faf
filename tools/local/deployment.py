"""What template.yaml becomes on this machine: its resources at MiniStack or moto, and its functions as processes."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

from tools import offers, signing_keys
from tools.local import ministack
from tools.local.children import NotStarted
from tools.local.cloud import Cloud, KeysChanged
from tools.local.functions import Function, runtime_folder
from tools.local.intrinsics import Resolver
from tools.local.template import ROOT, Template
from tools.local.worker import Code

DEPENDENCIES = ROOT / ".venv/layer/python"
PACKAGE = ROOT / "layers/paidup"


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where the parts of a local stack listen (ports of 127.0.0.1), and what stands in for AWS."""

    port: int
    fakes_port: int
    invocations_port: int
    aws: Cloud

    @property
    def url(self) -> str:
        """The front door."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def sockets_url(self) -> str:
        """The front door, for WebSockets."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def fakes_url(self) -> str:
        """The stand-ins for Stripe and the identity provider."""
        return f"http://127.0.0.1:{self.fakes_port}"

    @property
    def invocations_url(self) -> str:
        """Lambda's Invoke API."""
        return f"http://127.0.0.1:{self.invocations_port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StripeAccount:
    """Stripe itself, in test mode. Without a key, the stand-in takes its place."""

    api_key: str = ""
    webhook_secret: str = ""

    def secret(self) -> Mapping[str, Any]:
        """Return what the functions' Stripe secret holds."""
        if not self.api_key:
            return ministack.STRIPE_SECRET
        # Without the endpoint's own secret no webhook is believed; the poll and the sync settle all the same.
        return {"api_key": self.api_key, "webhook_secrets": [self.webhook_secret or f"whsec_{token_hex()}"]}

    def network(self) -> dict[str, str]:
        """Return how the functions reach it: only then does anything leave this machine, perhaps by a proxy."""
        if not self.api_key:
            return {}
        proxies = {name: value for name, value in os.environ.items() if name.lower() in ("http_proxy", "https_proxy")}
        return proxies | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """The template with its resources made, and what its references come to."""

    template: Template
    resolver: Resolver
    at: Addresses

    @property
    def table(self) -> str:
        """The name of the table."""
        return str(self.resolver({"Ref": "Table"}))

    @property
    def stripe_secret(self) -> str:
        """The name of the secret that Stripe's keys are in."""
        return str(self.resolver({"Ref": "StripeSecretName"}))

    def functions(self, folder: Path, stripe: StripeAccount, *, most: int) -> dict[str, Function]:
        """Return the functions, each with its own settings and permissions and at most *most* workers.

        Their logs go to *folder*/logs, and *folder*/clock moves their time. Raises NotStarted without their layer.
        """
        if not DEPENDENCIES.exists():
            raise NotStarted("The layer with the dependencies is not built yet: run `make setup`.")
        path = (DEPENDENCIES, PACKAGE, runtime_folder(folder / "runtime"))
        local = self.at.aws.environment | stripe.network() | {"PAIDUP_CLOCK_FILE": str(folder / "clock")}
        functions = {}
        for one in self.template.functions.values():
            permitted = self.at.aws.credentials(one.name, self.resolver(list(one.policies)))
            code = Code.of(one, path=path, environment=self.resolver.environment(one) | local | permitted)
            functions[one.name] = Function(code, log=folder / "logs" / f"{one.name}.log", most=most)
        return functions

    def where(self) -> dict[str, Any]:
        """Return what others may want to know of it, as JSON."""
        return {
            "url": self.at.url,
            "fakes_url": self.at.fakes_url,
            "invocations_url": self.at.invocations_url,
            "aws": self.at.aws.environment,
            "settings": {one.name: self.resolver.environment(one) for one in self.template.functions.values()},
            "table": self.table,
            "stripe_secret": self.stripe_secret,
            "queues": {name: self.resolver.refs[name] for name in self.template.queues},
            "pid": os.getpid(),
        }


def deploy(template: Template, at: Addresses, stripe: StripeAccount) -> Deployment:
    """Make what the template describes at `at.aws`, fill its secrets, and put the offers on sale.

    Raises NotStarted when data of earlier runs do not fit the template any more.
    """
    identity = f"{at.fakes_url}/identity"
    given = {
        "AllowedOrigins": [at.url, at.url.replace("127.0.0.1", "localhost")],
        "IdentityIssuer": identity,
        "IdentityAudience": "paidup",
        "IdentityJwksUrl": f"{identity}/.well-known/jwks.json",
        "PublicUrl": at.url,
        "BillingIssuer": at.url,
        "StripeApiBase": "" if stripe.api_key else f"{at.fakes_url}/stripe",
    }
    try:
        resolver = at.aws.deploy(template, given, gateway=at.sockets_url)
    except KeysChanged as error:
        sentence = f"{error} has other keys now than when its data were written: start empty, with `make run FRESH=1`."
        raise NotStarted(sentence) from None
    deployment = Deployment(template=template, resolver=resolver, at=at)
    at.aws.put_secret(deployment.stripe_secret, stripe.secret())
    # Kept from run to run, with what was rotated: tokens of before stay good.
    at.aws.put_secret_once(str(resolver({"Ref": "SigningKeysSecretName"})), signing_keys.first)
    offers.load(at.aws.table(deployment.table), offers.read())
    return deployment
