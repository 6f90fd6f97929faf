"""The whole examination, part after part. What a part cannot tell hinders no other."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import stripe
from botocore.exceptions import BotoCoreError, ClientError
from paidup.edge import clock
from paidup.model.errors import Refusal
from paidup.outside import signing_keys
from paidup.outside.dynamo.table import Table
from paidup.outside.secrets import BadSecret, Secrets
from paidup.outside.stripe import provider as providers
from paidup.outside.stripe.metadata import NAME
from paidup.outside.stripe.provider import Stripe

from tools.doctor import around, judgement, round_trip, stripe_account
from tools.doctor.finding import Finding, not_ok, ok, unknown
from tools.doctor.round_trip import Trip
from tools.doctor.stripe_account import Account

API_KEY, SIGNING_SECRETS, SIGNING_KEYS = "API key", "signing secrets", "signing keys"
RIGHTS = "give the API key the rights to read events and webhook endpoints, or make a new one"
LIVE = "_live_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What the settings of the functions say: where the API is, and what secrets and queues are called."""

    api_url: str
    stripe_secret: str
    stripe_base: str
    signing_keys_secret: str
    queue_url: str
    dead_letters_url: str


@dataclass(slots=True, kw_only=True)
class Checkup:
    """An examination of a deployed `stack` (None: the local one). `client` returns a client of AWS.

    Secrets are read anew, and never shown.
    """

    names: Names
    table: Table
    client: Callable[[str], Any]
    stack: str | None
    _live: bool = False
    _secrets: Sequence[str] = ()
    _account: Account | None = None
    _trips: list[Trip] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where Stripe's webhooks come to."""
        return f"{self.names.api_url.rstrip('/')}/webhooks/stripe"

    def parts(self) -> Iterator[tuple[str, Callable[[], list[Finding]]]]:
        """Yield each part: what it looks at, and how to examine it. Their order counts."""
        yield "Reading the secrets …", self._of_secrets
        yield "Asking Stripe …", self._of_account
        yield "Sending a webhook to ourselves …", self._of_trips
        yield "Comparing the clocks …", self._of_clock
        yield "Looking for events that were not delivered …", self._of_deliveries
        yield "Looking at what runs by the clock …", self._of_runs
        yield "Counting what waits …", self._of_queues
        yield "Reading the alarms …", self._of_alarms

    def _of_secrets(self) -> list[Finding]:
        provider = self._provider()
        keys = partial(self._fresh().read, self.names.signing_keys_secret)
        return [
            _readable(API_KEY, self.names.stripe_secret, lambda: self._key_of(provider)),
            _readable(SIGNING_SECRETS, self.names.stripe_secret, lambda: self._signing_secrets_of(provider)),
            _readable(SIGNING_KEYS, self.names.signing_keys_secret, lambda: _keys_of(signing_keys.connect(keys))),
        ]

    def _key_of(self, provider: Stripe) -> str:
        key = provider.api_key()
        if not key.startswith(("sk_test_", "sk_live_", "rk_test_", "rk_live_")) or not key.isprintable():
            raise BadSecret("It is no secret key, nor a restricted one, as Stripe shows them.")
        self._live = LIVE in key
        return f"of {'live' if self._live else 'test'} mode"

    def _signing_secrets_of(self, provider: Stripe) -> str:
        self._secrets = provider.webhook_secrets()
        return f"{len(self._secrets)} of them"

    def _of_account(self) -> list[Finding]:
        try:
            self._account = account = stripe_account.read(self._provider(), self.url)
        except (Refusal, BadSecret, BotoCoreError, ClientError) as error:
            refused = isinstance(error, Refusal) and not error.retryable
            why = str(error)
            first = not_ok(judgement.ENDPOINT, why, RIGHTS) if refused else unknown(judgement.ENDPOINT, why)
            return [first, unknown(judgement.VERSION, "Stripe did not say")]
        return [
            judgement.of_endpoint(account.faults(self.url), self.url, account.missing(self.url)),
            judgement.of_version(stripe.api_version, account.version),
        ]

    def _of_trips(self) -> list[Finding]:
        """Stamp as Stripe would: by its clock, if it says."""
        at = self._account.now if self._account else clock.now()
        sent: Any = {"at": at, "live": self._live, "by_proxy": self.stack is not None}
        forged = round_trip.of_forged(round_trip.forged(self.url, **sent), self.url)
        if not self._secrets:
            return [unknown(round_trip.ROUND_TRIP, "there is no signing secret to sign with"), forged]
        self._trips = [round_trip.send(self.url, one, **sent) for one in self._secrets]
        return [round_trip.of_trips(self._trips, self.url), forged]

    def _of_clock(self) -> list[Finding]:
        """Compare Stripe's clock with AWS's, as the API tells it. On one machine, all that is ours has one clock."""
        if self._account is None:
            return [unknown(judgement.CLOCK, "Stripe did not tell the time")]
        told = next((one.answered_at for one in self._trips if one.answered_at is not None), None)
        if self.stack is None or told is None:
            return [judgement.of_skew(clock.now() - self._account.now, whose="this machine")]
        return [judgement.of_skew(told - self._account.now, whose="the API")]

    def _of_deliveries(self) -> list[Finding]:
        account = self._account
        if account is None:
            return [unknown(judgement.DELIVERIES, "Stripe did not say what it could not deliver")]
        reached = bool(self._trips) and all(one.taken for one in self._trips)
        return [
            judgement.of_deliveries(
                account.undelivered,
                account.delivered_at,
                reached=reached,
                endpoint_good=not account.faults(self.url),
                others=account.others(self.url),
            )
        ]

    def _of_runs(self) -> list[Finding]:
        now = clock.now()
        return [
            _told(judgement.SWEEP, lambda: judgement.of_sweep(around.late_s(self.table, now=now))),
            _told(
                judgement.RECONCILER,
                lambda: judgement.of_reconciler(around.ran_at(self.table, f"events#{NAME}"), now=now),
            ),
        ]

    def _of_queues(self) -> list[Finding]:
        sqs, names = self.client("sqs"), self.names
        return [
            _told(judgement.QUEUE, lambda: judgement.of_queue(*around.messages(sqs, names.queue_url))),
            _told(
                judgement.DEAD_LETTERS,
                lambda: judgement.of_dead_letters(
                    sum(around.messages(sqs, names.dead_letters_url)), len(self.table.failed_events())
                ),
            ),
        ]

    def _of_alarms(self) -> list[Finding]:
        stack = self.stack
        if stack is None:
            return [unknown(judgement.ALARMS, "the local stack has none")]
        return [_told(judgement.ALARMS, lambda: judgement.of_alarms(around.alarms(self.client("cloudwatch"), stack)))]

    def _provider(self) -> Stripe:
        return providers.connect(partial(self._fresh().read, self.names.stripe_secret), self.names.stripe_base)

    def _fresh(self) -> Secrets:
        return Secrets(client=self.client("secretsmanager"))


def _keys_of(keys: signing_keys.SigningKeys) -> str:
    now = clock.now()
    keys.sign({"sub": "checkup"}, now=now)
    return f"one signs, {len(keys.published(now=now))} are published"


def _readable(check: str, name: str, read: Callable[[], str]) -> Finding:
    try:
        return ok(check, read())
    except BadSecret as error:
        return not_ok(check, str(error), f"mend the secret {name} (README, Deploy; docs/runbook.md, Secrets)")
    except ClientError as error:
        code = error.response["Error"]["Code"]
        return not_ok(
            check, f"the secret {name} cannot be read ({code})", "look whether it is there, and who may read it"
        )
    except BotoCoreError as error:
        return unknown(check, f"Secrets Manager did not answer ({type(error).__name__})")


def _told(check: str, look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    except (BotoCoreError, ClientError) as error:
        return unknown(check, str(error), "look at your rights in AWS")
