"""Handlers of the HTTP edge whose answers are counted as the client sees them, with crashes and refusals."""

from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from paidup.edge.http import Event, Handler
from paidup.outside import metrics

NOT_FOUND = 404
CHECKUP = "paidup-doctor"
"""The User-Agent of `paidup doctor`. Its webhooks are not counted, or a look would make alarms ring, or be silent."""


def measured(
    handler: Handler, counted: str, timed: str | None = None, *, unless: Callable[[Event], bool] = lambda _: False
) -> Handler:
    """Return *handler*, each of whose answers is counted as *counted*, by outcome: success, refused or failure.

    *timed* records how long each answer took that is no refusal. What nobody is there for (404) is not
    counted, nor is a request of which *unless* is true.
    """

    def counting(event: Event, context: LambdaContext) -> dict[str, Any]:
        began, outcome = perf_counter(), "failure"
        try:
            answer = handler(event, context)
            outcome = _outcome(answer)
        finally:
            if unless(event):
                outcome = ""
            if outcome:
                metrics.count(counted, outcome=outcome)
            if timed and outcome in ("success", "failure"):
                metrics.time(timed, (perf_counter() - began) * 1000)
        return answer

    return counting


def is_checkup(event: Event) -> bool:
    """Whether `paidup doctor` sent the request, or somebody who says so. Nothing but counting may rest on it."""
    return bool((event.get("headers") or {}).get("user-agent") == CHECKUP)


def _outcome(answer: Mapping[str, Any]) -> str:
    status = answer["statusCode"]
    if status == NOT_FOUND:
        return ""
    if status < 400:
        return "success"
    return "refused" if status < 500 else "failure"
