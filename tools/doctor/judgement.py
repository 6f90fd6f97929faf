"""What findings come to, from plain values alone. Times are epoch seconds."""

from collections.abc import Sequence

from paidup.model.endpoint import EndpointFault

from tools.doctor.finding import Finding, not_ok, ok, unknown

TOLERANCE_S = 300  # older signatures are refused, on both sides
SKEW_S = 30
SWEPT_WITHIN_S = 300  # as SweepLateAlarm has it
RECONCILED_WITHIN_S = 900  # three runs
QUEUED = 100

ENDPOINT = "webhook endpoint"
VERSION = "API version"
CLOCK = "clock"
DELIVERIES = "deliveries"
SWEEP = "sweep"
RECONCILER = "reconciler"
QUEUE = "webhook queue"
DEAD_LETTERS = "dead letters"
ALARMS = "alarms"

MISMATCH = "the signing secret does not match"

FAULTS = {
    EndpointFault.MISSING: (
        "the provider has no webhook endpoint",
        "make one for {url} in the provider's dashboard (README, Deploy), and put its signing secret into the secret",
    ),
    EndpointFault.WRONG_URL: (
        "no endpoint at the provider has the URL {url}",
        "change the endpoint's URL in the provider's dashboard. If the API is reached by another domain, set PublicUrl",
    ),
    EndpointFault.DISABLED: (
        "the endpoint is disabled",
        "enable it in the provider's dashboard. What was lost until then, the reconciler finds",
    ),
    EndpointFault.EVENT_TYPES: (
        "the endpoint is not told of {missing}",
        "subscribe it to the types that the README lists",
    ),
}


def of_endpoint(faults: Sequence[EndpointFault], url: str, missing: Sequence[str]) -> Finding:
    """Judge the endpoint for *url*, whose *faults* are known. It is not told of the types *missing*."""
    if not faults:
        return ok(ENDPOINT, f"{url} is enabled, with all types of events")
    found, todo = FAULTS[faults[0]]
    words = {"url": url, "missing": ", ".join(missing)}
    return not_ok(ENDPOINT, found.format(**words), todo.format(**words))


def of_version(ours: str, theirs: str | None) -> Finding:
    """Judge in which version of the provider's API events come (*theirs*, None: there was none), if we read *ours*."""
    if theirs is None:
        return unknown(VERSION, f"paidup reads {ours}; there was no event yet")
    if _release(theirs) == _release(ours):
        return ok(VERSION, f"events come in {theirs}, paidup reads {ours}")
    return not_ok(
        VERSION,
        f"events come in {theirs}, paidup reads {ours}: the object of each event is fetched once more",
        f"make an endpoint of the version {ours}, add its signing secret, then disable the old one",
    )


def _release(version: str) -> str:
    return version.rpartition(".")[2]


def of_skew(skew_s: int, *, whose: str) -> Finding:
    """Judge how far the clock of *whose* is ahead of the provider's (negative: behind it)."""
    found = f"{whose} is {abs(skew_s)} s {'ahead of' if skew_s >= 0 else 'behind'} the provider"
    if abs(skew_s) <= SKEW_S:
        return ok(CLOCK, found)
    return not_ok(
        CLOCK, found, f"set the clock by NTP: beyond {TOLERANCE_S} s every webhook is refused, and access ends too soon"
    )


def of_deliveries(
    undelivered: Sequence[int], delivered_at: int | None, *, reached: bool, endpoint_good: bool, others: int
) -> Finding:
    """Judge the events that the provider could not deliver, each by its time, the newest first.

    *delivered_at* is of the newest event that came. *reached*: a webhook that is signed with our secret comes in.
    *others* is how many endpoints of other addresses the provider tells, too.
    """
    if not undelivered:
        return ok(DELIVERIES, "the provider has no event that was not delivered")
    found = f"the provider has {len(undelivered)} events that were not delivered"
    if delivered_at is not None and delivered_at >= undelivered[0]:
        return ok(DELIVERIES, f"{found}, but newer ones came. It sends them again, and the reconciler finds them")
    if not endpoint_good:
        return not_ok(DELIVERIES, f"{found}: see {ENDPOINT}", "mend the endpoint. The provider sends them again")
    if not reached:
        return not_ok(DELIVERIES, f"{found}: our own webhook is not taken either", "see signed round trip")
    cause = MISMATCH if not others else f"{MISMATCH}, or one of {others} other endpoints fails"
    return not_ok(
        DELIVERIES,
        f"{found}, though ours comes in: {cause}",
        "copy the endpoint's signing secret from the provider's dashboard into webhook_secrets of the secret. It "
        "counts within five minutes. Nothing is lost: the reconciler settles what was refused",
    )


def of_sweep(late_s: int | None) -> Finding:
    """Judge the sweep by what is due for longest (None: nothing is due)."""
    if late_s is None:
        return ok(SWEEP, "nothing is due")
    found = f"what is due for longest waits for {late_s} s"
    if late_s <= SWEPT_WITHIN_S:
        return ok(SWEEP, found)
    return not_ok(SWEEP, found, "look at the log of expire_sessions, and whether its schedule is enabled")


def of_reconciler(ran_at: int | None, *, now: int) -> Finding:
    """Judge the reconciler by when it ran last (None: never)."""
    todo = "look at the log of reconcile_payments, and whether its schedule is enabled"
    if ran_at is None:
        return not_ok(RECONCILER, "it never ran", f"it runs every 5 minutes; if it stays so, {todo}")
    found = f"it ran {max(0, now - ran_at)} s ago"
    return ok(RECONCILER, found) if now - ran_at <= RECONCILED_WITHIN_S else not_ok(RECONCILER, found, todo)


def of_queue(waiting: int, in_hand: int) -> Finding:
    """Judge the queue of webhooks by how many events wait, and how many are being settled or tried again."""
    found = f"{waiting} events wait, {in_hand} are in hand"
    if waiting <= QUEUED:
        return ok(QUEUE, found)
    return not_ok(QUEUE, found, "look at the log of process_webhook, and whether it may run in parallel")


def of_dead_letters(count: int, failed: int) -> Finding:
    """Judge what could not be settled: *count* dead letters, and *failed* events that are listed."""
    found = f"{count} dead letters, {failed} failed events"
    if not count and not failed:
        return ok(DEAD_LETTERS, found)
    return not_ok(DEAD_LETTERS, found, "paidup attention says why each failed. Mend the cause, then replay or redrive")


def of_alarms(states: Sequence[tuple[str, str]]) -> Finding:
    """Judge the alarms, each with its state in CloudWatch."""
    if not states:
        return unknown(ALARMS, "the stack has no alarm", "deploy it anew")
    ringing = [name for name, state in states if state == "ALARM"]
    no_data = sum(state == "INSUFFICIENT_DATA" for _, state in states)
    if ringing:
        return not_ok(ALARMS, f"{', '.join(ringing)}", "docs/runbook.md says what each means, and how to mend it")
    return ok(ALARMS, f"{len(states) - no_data} are well, {no_data} have no data")
