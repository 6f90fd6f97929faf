"""All customers of some days, or one, compared with the objects at the providers, and mended if that is wanted."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from paidup.flows.services import Services
from paidup.flows.sync import Problem
from paidup.flows.verify import Told, Verified, objects, repair, verify
from paidup.model.drift import Difference
from paidup.model.errors import Refusal
from paidup.model.fact import Fact

from tools.accounts import touched

Tell = Callable[[str], None]


@dataclass(slots=True, kw_only=True)
class Verification:
    """What was compared: how many customers, those that differ, and what could not be read. Times: epoch seconds."""

    now: int
    since: int
    customers: int = 0
    drifted: list[Verified] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def differences(self) -> list[tuple[str, Difference]]:
        """Every difference, with its customer."""
        return [(one.customer_id, difference) for one in self.drifted for difference in one.differences]

    @property
    def good(self) -> bool:
        """Whether all was compared, and nothing differs."""
        return not self.drifted and not self.problems


def compare(services: Services, *, since: int, now: int, only: Sequence[str] = (), tell: Tell) -> Verification:
    """Compare the customers *only*, or all who have access, or whom anything happened to since *since*.

    Times are epoch seconds. *tell* hears how far it is. Nothing is changed, so it can be interrupted at any time.
    Raises ProviderUnavailable and ProviderRefused if a provider cannot be asked at all.
    """
    result = Verification(now=now, since=since)
    heard: dict[str, list[Fact]] = {one: [] for one in only}
    if not only:
        tell("Reading what the providers have …")
        told = Told()
        told.read(_counted(objects(services, since=since), tell))
        result.problems += told.problems
        by_customer: dict[str, list[Fact]] = defaultdict(list)
        for fact in told.all:
            by_customer[fact.customer_id].append(fact)
        tell("Reading who has access here …")
        heard = {one: by_customer.get(one, []) for one in sorted({*by_customer, *touched(services.table, since=since)})}
    for n, (customer_id, facts) in enumerate(heard.items(), start=1):
        tell(f"Comparing customer {n:,} of {len(heard):,} …")
        _compare_one(customer_id, facts, services, result)
    return result


def mend(before: Verification, services: Services, *, tell: Tell) -> Verification:
    """Mend what differs *before*, customer by customer, and return what differs after that.

    Each customer is mended as a whole or not at all, so it can be interrupted, and begun again.
    """
    after = Verification(now=before.now, since=before.since)
    for n, one in enumerate(before.drifted, start=1):
        tell(f"Mending customer {n:,} of {len(before.drifted):,} …")
        after.problems += repair(one, services, now=before.now)
        heard = [fact for facts in one.said.values() for fact in facts]
        _compare_one(one.customer_id, heard, services, after)
    return after


def _compare_one(customer_id: str, heard: Iterable[Fact], services: Services, result: Verification) -> None:
    result.customers += 1
    try:
        found = verify(customer_id, services, since=result.since, now=result.now, heard=heard)
    except Refusal as refusal:
        result.problems.append(Problem(ref=customer_id, why=str(refusal)))
        return
    result.problems += found.problems
    if found.differences:
        result.drifted.append(found)


def _counted[T](things: Iterable[T], tell: Tell) -> Iterator[T]:
    for n, one in enumerate(things, start=1):
        if n % 100 == 0:
            tell(f"Reading what the providers have: {n:,} objects …")
        yield one
