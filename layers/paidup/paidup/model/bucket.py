"""The read budget: how many requests all functions together may make to a provider, and who goes first.

The bucket holds what may be asked in this second. It fills by the clock. Some of it is kept for polls, for which a
buyer waits. A provider also allows so many reads in 30 days, by what was sold. Those for whom nobody waits spend that
evenly over the month. All is arithmetic on whole seconds.
"""

from dataclasses import dataclass, replace

from paidup.model.fact import Channel

MONTH_S = 30 * 86_400
FIRST_PAUSE_S, LONGEST_PAUSE_S = 2, 64
MOST_SAID_S = 600  # a gateway that names another year must not stop everybody for so long
PATIENT = frozenset({Channel.SYNC, Channel.SWEEP, Channel.RECONCILER})  # they wait, all others are answered at once
# The shares of the month up to which a channel goes: nobody waits for these. Polls and syncs are for people.
SHARES = {Channel.SWEEP: 0.8, Channel.RECONCILER: 1.0}
AHEAD_S = 3 * 86_400  # so much of the month may be used before its time
LATER_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """A provider is asked `per_second` times at most, and `for_polls` of these are kept for polls.

    In 30 days it is asked `per_sale` times for each thing sold, or `least_a_month` times if that is more.
    """

    per_second: int = 20
    for_polls: int = 10
    per_sale: int = 500
    least_a_month: int = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """How many requests may be made now. If there are none, try again in `wait_s` seconds."""

    bucket: "Bucket"
    granted: int
    wait_s: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """`tokens` requests may be made since `at`. In the month since `began`, `used` were made, and `sold` things sold.

    Nobody asks before `closed_until`, since the provider refused `refusals` times in a row. Times are epoch seconds.
    """

    tokens: int
    at: int
    began: int
    used: int = 0
    sold: int = 0
    closed_until: int = 0
    refusals: int = 0

    @classmethod
    def full(cls, limits: Limits, *, now: int) -> "Bucket":
        """Return the bucket of a provider that was never asked."""
        return cls(tokens=limits.per_second, at=now, began=now)

    def take(self, wanted: int, channel: Channel, limits: Limits, *, now: int) -> Taken:
        """Take up to *wanted* requests for *channel* at *now*. A clock that is behind the bucket's fills nothing."""
        bucket = self._filled(limits, now=now)
        if now < bucket.closed_until:
            return Taken(bucket=bucket, granted=0, wait_s=bucket.closed_until - now)
        left = bucket.left(channel, limits, now=now)
        if left <= 0:
            return Taken(bucket=bucket, granted=0, wait_s=LATER_S)
        kept = limits.for_polls if channel in PATIENT else 0
        granted = max(0, min(wanted, bucket.tokens - kept, left))
        taken = replace(bucket, tokens=bucket.tokens - granted, used=bucket.used + granted)
        return Taken(bucket=taken, granted=granted, wait_s=0 if granted else max(1, bucket.at + 1 - now))

    def given_back(self, unused: int) -> "Bucket":
        """Return the bucket after *unused* requests that were taken were not made. The month has them again.

        The second does not: it may be over, and others may have been told to wait.
        """
        return replace(self, used=max(0, self.used - unused))

    def left(self, channel: Channel, limits: Limits, *, now: int) -> int:
        """Return how many requests the month still allows *channel* at *now*.

        Polls and syncs are allowed as many as fit into seconds. The sweep and the reconciler are allowed what the month
        has brought so far, and three days' more. The sweep leaves a fifth of it to all others.
        """
        share = SHARES.get(channel)
        if share is None:
            return limits.per_second
        allowed = max(limits.least_a_month, limits.per_sale * self.sold)
        elapsed = min(MONTH_S, max(0, now - self.began) + AHEAD_S)
        return int(allowed * share * elapsed / MONTH_S) - self.used

    def refused(self, *, now: int, retry_after_s: int | None) -> "Bucket":
        """Return the bucket after the provider refused one request too many. Each refusal in a row doubles the pause.

        If the provider says how long to wait (*retry_after_s*), that is the pause, for ten minutes at most.
        """
        in_a_row = self.refusals if now < self.closed_until + LONGEST_PAUSE_S else 0
        own = min(FIRST_PAUSE_S * 2**in_a_row, LONGEST_PAUSE_S)
        pause = own if retry_after_s is None else min(retry_after_s, MOST_SAID_S)
        return replace(self, closed_until=max(self.closed_until, now + pause), refusals=in_a_row + 1)

    def with_sales(self, count: int) -> "Bucket":
        """Return the bucket after *count* more things were sold: the provider allows more reads for them."""
        return replace(self, sold=self.sold + count)

    def _filled(self, limits: Limits, *, now: int) -> "Bucket":
        fresh = replace(self, began=now, used=0, sold=0) if now >= self.began + MONTH_S else self
        if now <= self.at:
            return fresh
        tokens = min(limits.per_second, self.tokens + limits.per_second * (now - self.at))
        return replace(fresh, tokens=tokens, at=now)
