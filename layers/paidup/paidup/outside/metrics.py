"""Metrics: every name with its unit, written to the log as CloudWatch reads metrics there (EMF). This alone knows how.

A metric is there for the whole service, for the service by a dimension, and for the function that wrote it. Alarms
watch the first two. Dimensions have few values each. A customer, a purchase or a request is never one: each value is a
metric of its own, and is paid.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter
from types import MappingProxyType

from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit
from aws_lambda_powertools.metrics.functions import is_metrics_disabled

from paidup.outside.log import logger

NAMESPACE = "paidup"
COUNT, MS = MetricUnit.Count, MetricUnit.Milliseconds

# Alarms of template.yaml and docs/runbook.md spell a metric as it stands here.
UNITS: Mapping[str, MetricUnit] = MappingProxyType(
    {
        "Settlement": COUNT,  # news of a purchase; channel
        "ChargeToAccess": MS,  # from a payment at the provider to the access that it began; channel
        "WebhookMissed": COUNT,  # payments that only the sweep or the reconciler brought; channel
        "CaseOpened": COUNT,  # review cases; reason: why
        "WebhookDelivery": COUNT,  # outcome: success, refused (4xx), failure (5xx)
        "EventFailed": COUNT,  # tries to settle an event
        "EventIgnored": COUNT,  # events of another product on the same account, each once
        "EventUntold": COUNT,  # events of the provider's list that no webhook told
        "ObjectUnsettled": COUNT,  # objects of the hourly round; reason: a refusal's slug, or crash
        "EndpointFault": COUNT,  # of the webhook endpoint at a provider; reason
        "RefundStuck": COUNT,  # failed tries to refund, from the sixth on
        "SweepLag": MS,  # how long the thing that waited longest was due
        "PaymentToken": COUNT,  # outcome: success, refused (4xx), failure (5xx)
        "PaymentTokenTime": MS,  # unless refused
        "ProviderTime": MS,  # of a request to a provider that was answered
        "ProviderFailed": COUNT,  # requests to a provider; reason: timeout, unreachable, rate-limited, outage
        "BudgetSpent": COUNT,  # times that a provider was not asked, to keep the read budget; channel
        "SecretUnread": COUNT,  # Secrets Manager did not answer, or the secret is not as it must be
        "TokenIssued": COUNT,  # outcome: success, failure
        "TokenIssueTime": MS,
        "TokenTime": MS,  # since the provider reported the change, in whole seconds; of tokens asked for because of it
        "GateDenied": COUNT,  # reason: a refusal's slug
        "GateTableUnreachable": COUNT,  # the gate decided by the token alone
        "SocketOpened": COUNT,
        "SocketRefused": COUNT,  # reason: a refusal's slug
        "SocketClosed": COUNT,  # reason: left, token_ended, too_many, gone
        "Push": COUNT,  # messages to tabs; outcome: sent, gone, failed
        "PushTime": MS,  # since the provider reported the change, or else since it was written, in whole seconds
        "ClientPayment": COUNT,  # clicks to buy, as pages saw them; outcome: success, failure, timeout
        "ClientPaymentTime": MS,  # of those that succeeded, until the payment page could be opened
        "ClientSessionRefresh": COUNT,
        "ClientSessionRefreshTime": MS,
        "ClientTokenRefresh": COUNT,
        "ClientTokenRefreshTime": MS,
        "ClientConfirm": COUNT,
        "ClientConfirmTime": MS,
    }
)


def count(
    name: str,
    value: int = 1,
    *,
    reason: str | None = None,
    channel: str | None = None,
    outcome: str | None = None,
) -> None:
    """Count *value* more of the metric *name* at once. Raises KeyError if `UNITS` does not have it as a count."""
    if UNITS[name] is not COUNT:
        raise KeyError(f"{name} is no count")
    _write(name, value, reason=reason, channel=channel, outcome=outcome)


def time(
    name: str,
    ms: float,
    *,
    reason: str | None = None,
    channel: str | None = None,
    outcome: str | None = None,
) -> None:
    """Record at once that *name* took *ms* (rounded). Raises KeyError if `UNITS` does not have it as a time."""
    if UNITS[name] is not MS:
        raise KeyError(f"{name} is no time")
    _write(name, round(ms), reason=reason, channel=channel, outcome=outcome)


@contextmanager
def outcome(counted: str, timed: str) -> Iterator[None]:
    """Count the block as a success or, if it raises, as a failure of *counted*. Record how long a success took."""
    began = perf_counter()
    try:
        yield
    except Exception:
        count(counted, outcome="failure")
        raise
    count(counted, outcome="success")
    time(timed, (perf_counter() - began) * 1000)


def _write(name: str, value: float, **dimensions: str | None) -> None:
    """Write one line to standard output, which Lambda passes on to CloudWatch. If that fails, say so and go on."""
    if is_metrics_disabled():
        return
    try:
        _line(name, value, {dimension: text for dimension, text in dimensions.items() if text}).flush_metrics()
    except Exception:  # what is measured is done: it is worth more than its measure
        logger.exception("metric.unwritten", metric=name)


def _line(name: str, value: float, dimensions: Mapping[str, str]) -> EphemeralMetrics:
    """Return the line for the service, for the service by *dimensions*, and for the function by these."""
    service = os.environ.get("POWERTOOLS_SERVICE_NAME") or "paidup"  # the stack's name where it is deployed
    function = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "").removeprefix(f"{service}-")
    line = EphemeralMetrics(namespace=NAMESPACE, service=service, default_dimensions={"service": service})
    line.add_metric(name, UNITS[name], value)
    if dimensions:
        line.add_dimensions(**dimensions)
    if function:
        line.add_dimensions(function=function, **dimensions)
    return line
