"""Objects: once an hour, all that the providers have is read itself, since an event may never exist, and settled."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial

from paidup.flows.services import Services
from paidup.flows.settle import settle
from paidup.model.errors import BudgetSpent, ProviderRefused, ProviderUnavailable, Refusal
from paidup.model.fact import Channel, Fact
from paidup.model.news import brings_news
from paidup.model.provider import Provider, Report
from paidup.model.purchase import Purchase
from paidup.model.reconciliation import WEBHOOKS_COME_WITHIN_S, ObjectsReport, Round, Stage, next_round
from paidup.outside import metrics
from paidup.outside.deadline import within
from paidup.outside.log import logger

SETTLE_WITHIN_S = 6.0
SPARE_S = 10.0
SAVED_EVERY = 25
OUTAGES_ENDURED = 3


def reconcile_objects(services: Services, *, run_id: str, now: int, time_left: Callable[[], float]) -> ObjectsReport:
    """Settle what the objects of every provider say, if the last round began an hour ago or was not finished.

    *run_id* names this run, *now* is in epoch seconds, *time_left* returns the seconds that are left. One run at a time
    has the lease, which frees itself. The round moves only past objects that were dealt with. So a run that dies, or
    runs out of time, is finished by the next one. Raises what the table raises.
    """
    report = ObjectsReport()
    for provider in services.providers:
        name = f"objects#{provider}"
        if next_round(services.table.round(name), now=now) is None or time_left() < SPARE_S:
            continue
        if not services.table.claim_run(name, run_id, until=now + math.ceil(time_left()), now=now):
            report.taken = True
            continue
        try:
            if (one := next_round(services.table.round(name), now=now)) is not None:
                reading = _Reading(
                    name=name,
                    provider=services.provider(provider),
                    services=services,
                    report=report,
                    now=now,
                    round=one,
                )
                with services.asking(Channel.RECONCILER, now=now):
                    reading.go_on(time_left)
        finally:
            services.table.release_run(name, run_id, now=now)
    if report != ObjectsReport():
        logger.info("objects.reconciled", **asdict(report))
    return report


@dataclass(slots=True, kw_only=True)
class _Reading:
    """The part of a round that one run reads. `listed` are the objects that the provider listed in this run."""

    name: str
    provider: Provider
    services: Services
    report: ObjectsReport
    now: int
    round: Round
    listed: set[str] = field(default_factory=set)
    outages: int = 0
    unsaved: int = 0

    def go_on(self, time_left: Callable[[], float]) -> None:
        """Read on from where the round stands, until it is done or the time is over.

        It ends too if the provider is down or the read budget is spent.
        """
        try:
            while not self.round.done:
                for one in self._listed() if self.round.stage is Stage.LISTED else self._running():
                    if time_left() < SPARE_S or self.outages >= OUTAGES_ENDURED:
                        self.report.unfinished = True
                        return
                    self._deal_with(one, left_s=time_left())
                    self._move(self.round.moved(one.cursor))
                self._move(self.round.next_stage(), save=True)
        except (ProviderUnavailable, ProviderRefused, BudgetSpent) as refusal:
            logger.warning("objects.unlisted", provider=self.provider.name, why=refusal.slug)
            self.report.unfinished = True
        finally:
            self._move(self.round, save=True)

    def _listed(self) -> Iterator[Report]:
        """Yield what the provider lists."""
        for one in self.provider.objects(self.round.after, since=self.round.since, known=self.services.table):
            self.listed.add(f"{self.provider.name}#{one.ref}")
            yield one

    def _running(self) -> Iterator[Report]:
        """Yield the subscriptions that run here, and were not listed in this run: most of them have ended there.

        The next run does not know what this one listed. It asks for each that is left.
        """
        before = self.round.after
        for customer_id, purchases in self.services.table.running_purchases(before):
            left = [one for one in purchases if self._is_left(one)]
            for n, purchase in enumerate(left, start=1):
                yield Report(
                    ref=purchase.purchase_id,
                    read=partial(self.provider.purchase_facts, purchase),
                    cursor=customer_id if n == len(left) else before,
                )
            before = customer_id

    def _is_left(self, purchase: Purchase) -> bool:
        refs = {f"{purchase.provider}#{plan.ref}" for plan in purchase.subscriptions if not plan.ended}
        return purchase.provider == self.provider.name and not (refs and refs <= self.listed)

    def _deal_with(self, one: Report, *, left_s: float) -> None:
        """Settle what *one* object says, if that is news. If it cannot be read or settled, say so, and go on."""
        try:
            with within(min(SETTLE_WITHIN_S, left_s)):
                news = self._settled(one.read())
        except BudgetSpent:
            raise  # the next run goes on with this object
        except Refusal as refusal:
            self.outages += isinstance(refusal, ProviderUnavailable)
            logger.warning("object.unsettled", provider=self.provider.name, ref=one.ref, why=refusal.slug)
            self._count_problem(refusal.slug)
            return
        except Exception:
            logger.exception("object.unsettled", provider=self.provider.name, ref=one.ref)
            self._count_problem("crash")
            return
        self.report.found += news
        self.report.known += not news

    def _count_problem(self, reason: str) -> None:
        self.report.problems += 1
        metrics.count("ObjectUnsettled", reason=reason)

    def _settled(self, facts: Sequence[Fact]) -> bool:
        """Settle *facts* about one purchase, and return whether they were news. What was just paid is left to its
        webhook, which may still come.
        """
        if not facts or any(fact.paid_at and fact.paid_at > self.now - WEBHOOKS_COME_WITHIN_S for fact in facts):
            return False
        known = self.services.table.load(facts[0].customer_id, facts[0].purchase_id)
        if not brings_news(facts, known.purchase, known.checkout):
            return False
        return settle(facts, Channel.RECONCILER, self.services, now=self.now).changed

    def _move(self, to: Round, *, save: bool = False) -> None:
        """Let the round go on at *to*. That is written now and then, and if it must be (*save*)."""
        self.unsaved += to != self.round
        self.round = to
        if self.unsaved and (save or self.unsaved >= SAVED_EVERY):
            self.services.table.move_cursor(self.name, to)
            self.unsaved = 0
