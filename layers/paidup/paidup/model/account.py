"""Accounts: one customer's version, access, open checkout and open booking."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from math import inf
from unicodedata import normalize

from paidup.model.access import Access
from paidup.model.policy import Policy
from paidup.model.purchase import Purchase

MOST_ACCESS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The customer that a provider's id belongs to. If the id names what they buy or bought, the purchase too."""

    customer_id: str
    purchase_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One customer. Every write for the customer moves `version` by one. `billing_version` moves only when the access
    changes.

    `access` holds at most 200 entries, so that the item stays small. `access_cut` says that there are more. `running`
    are the ids of the purchases whose subscription may still take money, whether it grants access or not. `customers`
    are the customer's refs at the providers. The slot `<provider>#-` serves every currency, unless there is a slot
    `<provider>#<currency>`. Other slots hold refs that are only read. `emails` says which e-mail address a ref has at
    its provider, as a digest. `trials` are the groups of which the customer has had their trial.
    `cancelled_checkout_id` is the checkout that the customer cancelled last, until they open another one. `sync_until`
    is the end of the running sync's lease. `syncs` and `reservations` are the times of recent syncs and of recent new
    checkouts, kept for the rate limits. `access_changed_at` is when `billing_version` moved last. `reported_at` is
    the provider's second of the report that moved it (None: nobody reported it). Both are for measuring, and decide
    nothing. All times are epoch seconds.
    """

    customer_id: str
    version: int = 0
    billing_version: int = 0
    access: tuple[Access, ...] = ()
    access_cut: bool = False
    running: tuple[str, ...] = ()
    open_checkout_id: str | None = None
    open_booking_id: str | None = None
    cancelled_checkout_id: str | None = None
    customers: Mapping[str, str] = field(default_factory=dict)
    emails: Mapping[str, str] = field(default_factory=dict)
    trials: tuple[str, ...] = ()
    sync_until: int | None = None
    syncs: tuple[int, ...] = ()
    reservations: tuple[int, ...] = ()
    access_changed_at: int | None = None
    reported_at: int | None = None

    def customer_refs(self, provider: str) -> list[str]:
        """Return the refs of the customer at *provider*, such as `memory#customer_1`."""
        return [ref for slot, ref in sorted(self.customers.items()) if slot.partition("#")[0] == provider]

    def customer_ref(self, provider: str, currency: str) -> str | None:
        """Return the ref by which the customer pays in *currency* at *provider*, or None."""
        return self.customers.get(f"{provider}#{currency}") or self.customers.get(f"{provider}#-")

    def known_as(self, ref: str, *, currency: str | None = None) -> "Account":
        """Return this account with *ref* as the customer's ref at its provider: for *currency*, or for every one."""
        if ref in self.customers.values():
            return self
        return replace(self, customers={**self.customers, f"{ref.partition('#')[0]}#{currency or '-'}": ref})

    def with_email(self, ref: str, email: str | None) -> "Account":
        """Return this account with *email* as the address that *ref* has at its provider. None changes nothing."""
        return replace(self, emails={**self.emails, ref: email_digest(email)}) if email else self

    def outdated(self, provider: str, email: str | None) -> list[str]:
        """Return the refs at *provider* that have another e-mail address than *email*. What is not known counts not."""
        if not email:
            return []
        refs = self.customer_refs(provider)
        return [ref for ref in refs if self.emails.get(ref) not in (None, email_digest(email))]

    def with_trial(self, group: str) -> "Account":
        """Return this account with the trial of *group* as used."""
        return replace(self, trials=tuple(sorted({*self.trials, group})))

    def without(self, purchase_ids: Iterable[str], *, now: int) -> "Account":
        """Return this account without what the purchases *purchase_ids* grant, because they are another's now."""
        gone = set(purchase_ids)
        kept = [access for access in self.access if access.purchase_id not in gone]
        running = tuple(one for one in self.running if one not in gone)
        return replace(self._with(kept, now=now), running=running)

    def granting(self, purchase: Purchase, *, now: int, policy: Policy, among: Sequence[Purchase] = ()) -> "Account":
        """Return this account with the access that *purchase* grants at *now*, and without access that has ended.

        *now* is in epoch seconds. *among* are all purchases of the customer. It is needed only if `access_cut` is set.
        """
        anew = {one.purchase_id: one for one in (*among, purchase)}
        kept = [access for access in self.access if access.purchase_id not in anew]
        kept += [access for one in anew.values() for access in one.access(now=now, policy=policy)]
        running = set(self.running) - {purchase.purchase_id} | ({purchase.purchase_id} if purchase.running else set())
        account = self._with(kept, now=now)
        return replace(account, running=tuple(sorted(running)))

    def derived(self, purchases: Iterable[Purchase], *, now: int, policy: Policy) -> "Account":
        """Return this account with exactly what all its *purchases* grant at *now* (epoch seconds)."""
        every = list(purchases)
        access = [access for one in every for access in one.access(now=now, policy=policy)]
        running = tuple(sorted(one.purchase_id for one in every if one.running))
        return replace(self._with(access, now=now), running=running)

    def current_access(self, *, now: int) -> tuple[Access, ...]:
        """Return what the customer may use at *now* (epoch seconds). Stored access that has ended is left out."""
        return tuple(access for access in self.access if access.holds(now=now))

    def _with(self, access: list[Access], *, now: int) -> "Account":
        """Keep at most 200 entries that still grant: the longest of each offer first, then the longest of the rest."""
        holding = sorted((one for one in access if one.holds(now=now)), key=_longest_first)
        first = list({one.offer_id: one for one in reversed(holding)}.values())
        rest = [one for one in holding if one not in first]
        kept = tuple(sorted([*first, *rest][:MOST_ACCESS], key=_place))
        moved = {one.entitlement for one in kept} != {one.entitlement for one in self.access}
        same = replace(self, access=kept, access_cut=len(kept) < len(holding))
        if not moved:
            return same
        return replace(same, billing_version=self.billing_version + 1, access_changed_at=now, reported_at=None)


def email_digest(email: str) -> str:
    """Return what stands for *email* where the address itself must not lie. The case of letters makes no difference."""
    return sha256(normalize("NFKC", email).strip().casefold().encode()).hexdigest()


def _longest_first(access: Access) -> tuple[float, str]:
    return (-access.until if access.until is not None else -inf, access.purchase_id)


def _place(access: Access) -> tuple[str, str, float]:
    return (access.purchase_id, access.offer_id, inf if access.until is None else access.until)
