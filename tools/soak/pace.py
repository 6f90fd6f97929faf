"""Whether requests to a provider kept to the read budget, as the provider saw them: second by second, and the month."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from paidup.model.bucket import AHEAD_S, MONTH_S, SHARES, Limits
from paidup.model.fact import Channel

GOVERNED = frozenset({"poll", "sync", "sweep", "reconciler"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """So many `requests` of one `application` came in the second `at`."""

    at: int
    application: str
    requests: int


def by_second(asked: Iterable[Asked], *, of: frozenset[str] | None = None) -> Counter[int]:
    """Return how many requests came in each second: all, or those of the applications in *of*."""
    seconds: Counter[int] = Counter()
    for one in asked:
        if of is None or one.application in of:
            seconds[one.at] += one.requests
    return seconds


def too_many(asked: Sequence[Asked], sales: Sequence[int], limits: Limits) -> list[str]:
    """Return each breach of the read budget as a sentence. *sales* are the seconds in which something was sold."""
    return [*_seconds_above(asked, limits), *_ahead_of_the_month(asked, sales, limits)]


def _seconds_above(asked: Sequence[Asked], limits: Limits) -> Iterator[str]:
    """Yield the seconds with more requests than the budget has for one.

    The bucket promises as many only on average: each instance may hold four from the seconds before.
    """
    for at, requests in by_second(asked, of=GOVERNED).items():
        if requests > limits.per_second:
            yield f"{requests} requests in the second {at}: {limits.per_second} are allowed"


def _ahead_of_the_month(asked: Sequence[Asked], sales: Sequence[int], limits: Limits) -> Iterator[str]:
    """Yield who asked although nobody waits for them, and the month had not brought so much yet.

    A month begins with its first request. What is sold raises what the month allows.
    """
    began, sent = None, 0
    for one in sorted((one for one in asked if one.application in GOVERNED), key=lambda one: one.at):
        if began is None or one.at >= began + MONTH_S:
            began, sent = one.at, 0
        sent += one.requests
        if one.application not in SHARES:
            continue
        share = SHARES[Channel(one.application)]
        sold = sum(began <= at <= one.at for at in sales)
        whole = max(limits.least_a_month, limits.per_sale * sold)
        allowed = int(whole * share * min(MONTH_S, one.at - began + AHEAD_S) / MONTH_S)
        if sent > allowed:
            yield f"{one.application} at {one.at}: request {sent} of the month, which allows {allowed} by then"
