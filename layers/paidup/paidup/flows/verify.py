"""Verifying: a customer's account here is compared with the objects at the provider, and mended through settling."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from paidup.flows.services import Services
from paidup.flows.settle import settle
from paidup.flows.sync import Problem
from paidup.flows.transact import transact
from paidup.model.account import Account
from paidup.model.checkout import Checkout
from paidup.model.drift import Difference, access_differences, differences, no_object, sale_differences
from paidup.model.errors import ObjectMissing, Refusal
from paidup.model.fact import Channel, Fact
from paidup.model.provider import Report
from paidup.model.purchase import Purchase
from paidup.model.snapshot import ChangeSet, Snapshot
from paidup.outside.log import logger


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """One customer, compared: the differences, what could not be read, and what is said of each purchase there."""

    customer_id: str
    differences: tuple[Difference, ...]
    problems: tuple[Problem, ...]
    said: Mapping[str, Sequence[Fact]]


class Told:
    """What the provider says now: the newest fact of each register, by purchase."""

    def __init__(self, facts: Iterable[Fact] = ()) -> None:
        """Begin with *facts*."""
        self._newest: dict[str, dict[str, Fact]] = defaultdict(dict)
        self.problems: list[Problem] = []
        self.add(facts)

    def add(self, facts: Iterable[Fact]) -> None:
        """Take in *facts*."""
        for fact in facts:
            known = self._newest[fact.purchase_id].get(fact.register)
            if known is None or known.entry.rank <= fact.entry.rank:
                self._newest[fact.purchase_id][fact.register] = fact

    def read(self, reports: Iterable[Report], customer_id: str | None = None) -> None:
        """Take in what *reports* say of the customer (None: of all). Keep what cannot be read as problems."""
        for one in reports:
            try:
                self.add(fact for fact in one.read() if customer_id in (None, fact.customer_id))
            except Refusal as refusal:
                self.problems.append(Problem(ref=one.ref, why=str(refusal)))

    def of(self, purchase_id: str) -> list[Fact]:
        """Return what was said of the purchase."""
        return list(self._newest.get(purchase_id, {}).values())

    @property
    def all(self) -> Iterator[Fact]:
        """Every fact."""
        return (fact for facts in self._newest.values() for fact in facts.values())

    @property
    def purchases(self) -> list[str]:
        """The purchases of which anything was said."""
        return [an_id for an_id, facts in self._newest.items() if facts]


def objects(services: Services, *, since: int) -> Iterator[Report]:
    """Yield what every provider lists of all customers: what runs, and what was made since *since* (epoch seconds)."""
    for name in services.providers:
        yield from services.provider(name).objects(None, since=since, known=services.table)


def verify(customer_id: str, services: Services, *, since: int, now: int, heard: Iterable[Fact] = ()) -> Verified:
    """Compare the customer's account at *now* with what the providers say, and change nothing. Times are epoch seconds.

    Compared are all subscriptions, what was bought since *since*, and what grants access. *heard* are facts about the
    customer that were listed already. What cannot be read becomes a problem. Raises ProviderUnavailable and
    ProviderRefused if a provider lists nothing.
    """
    told, account = Told(heard), services.table.account(customer_id)
    for name in services.providers:
        refs = account.customer_refs(name)
        for listing in services.provider(name).history(
            refs, None, since=since, known=services.table, customer_id=customer_id
        ):
            told.read(listing.reports, customer_id)
    purchases = {one.purchase_id: one for one in services.table.purchases_of(customer_id)}
    found: list[Difference] = []
    for an_id, purchase in purchases.items():
        checkout = services.table.checkout(customer_id, an_id)
        if not told.of(an_id) and _concerns(purchase, services, since=since, now=now):
            found += _ask(purchase, checkout, services, told)
        found += sale_differences(purchase, checkout) if checkout else []
    for an_id in {**purchases, **dict.fromkeys(told.purchases)}:
        found += differences(purchases.get(an_id), told.of(an_id))
    found += access_differences(account, purchases.values(), now=now, policy=services.policy)
    return Verified(
        customer_id=customer_id,
        differences=tuple(found),
        problems=tuple(told.problems),
        said={an_id: told.of(an_id) for an_id in told.purchases},
    )


def repair(verified: Verified, services: Services, *, now: int) -> list[Problem]:
    """Settle what the provider says of each purchase that differs, and derive the access anew. Return what failed.

    No opinion is stored: what the provider does not say is not mended.
    """
    failed: list[Problem] = []
    for an_id in dict.fromkeys(one.purchase_id for one in verified.differences):
        if facts := verified.said.get(an_id):
            try:
                settle(facts, Channel.SUPPORT, services, now=now)
            except Refusal as refusal:
                failed.append(Problem(ref=an_id, why=str(refusal)))
    _derive(verified.customer_id, services, now=now)
    return failed


def _concerns(purchase: Purchase, services: Services, *, since: int, now: int) -> bool:
    """Whether to ask for *purchase* by itself: it grants access, or may take money, or something was said lately."""
    grants = bool(purchase.access(now=now, policy=services.policy))
    return grants or purchase.running or any(entry.at >= since for entry in purchase.registers.values())


def _ask(purchase: Purchase, checkout: Checkout | None, services: Services, told: Told) -> list[Difference]:
    """Take in what the provider says of *purchase* and its page. Return a difference if the provider has neither."""
    provider = services.provider(purchase.provider)
    missing = True
    try:
        if checkout and checkout.token:
            told.add(provider.page(checkout).facts)
    except ObjectMissing:
        logger.info("page.gone", checkout_id=purchase.purchase_id)
    except Refusal as refusal:
        missing = False
        told.problems.append(Problem(ref=purchase.purchase_id, why=str(refusal)))
    try:
        told.add(provider.purchase_facts(purchase))
    except ObjectMissing:
        return [no_object(purchase)]
    except Refusal as refusal:
        missing = False
        told.problems.append(Problem(ref=purchase.purchase_id, why=str(refusal)))
    return [no_object(purchase)] if missing and not told.of(purchase.purchase_id) else []


def _derive(customer_id: str, services: Services, *, now: int) -> None:
    """Let the account list exactly what its purchases grant."""

    def load() -> Snapshot:
        account: Account = services.table.account(customer_id)
        return Snapshot(account=account, all_purchases=tuple(services.table.purchases_of(customer_id)))

    def derive(snapshot: Snapshot) -> ChangeSet:
        change = ChangeSet(snapshot=snapshot, policy=services.policy, now=now)
        change.account = snapshot.account.derived(snapshot.all_purchases, now=now, policy=services.policy)
        return change

    if not transact(customer_id, load, derive, services).change.empty:
        logger.info("access.derived", customer_id=customer_id)
