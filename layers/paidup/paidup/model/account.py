"""Accounts: one customer's version, access, open checkout and open booking."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf

from paidup.model.access import Access
from paidup.model.purchase import Purchase

MOST_ACCESS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The customer that a provider's id belongs to. If the id names something they bought, the purchase too."""

    customer_id: str
    purchase_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One customer. Every write for the customer moves `version` by one. `billing_version` moves only when the access
    changes.

    `access` holds at most 200 entries, so that the item stays small. `access_cut` says that there are more. `customers`
    are the customer's refs at the providers, by `<provider>#<currency>`, or by `<provider>#-` if one ref serves every
    currency. `cancelled_checkout_id` is the checkout that the customer cancelled last, until they open another one.
    `sync_until` is the end of the running sync's lease. `syncs` and `reservations` are the times of recent syncs and of
    recent new checkouts, kept for the rate limits. All times are epoch seconds.
    """

    customer_id: str
    version: int = 0
    billing_version: int = 0
    access: tuple[Access, ...] = ()
    access_cut: bool = False
    open_checkout_id: str | None = None
    open_booking_id: str | None = None
    cancelled_checkout_id: str | None = None
    customers: Mapping[str, str] = field(default_factory=dict)
    sync_until: int | None = None
    syncs: tuple[int, ...] = ()
    reservations: tuple[int, ...] = ()

    def customer_refs(self, provider: str) -> list[str]:
        """Return the refs of the customer at *provider*, such as `memory#customer_1`."""
        return [ref for slot, ref in sorted(self.customers.items()) if slot.partition("#")[0] == provider]

    def known_as(self, ref: str) -> "Account":
        """Return this account with *ref* as the customer's ref at its provider."""
        return replace(self, customers={**self.customers, f"{ref.partition('#')[0]}#-": ref})

    def granting(self, purchase: Purchase, *, now: int, grace_s: int, among: Sequence[Purchase] = ()) -> "Account":
        """Return this account with the access that *purchase* grants at *now*, and without access that has ended.

        *now* is in epoch seconds, *grace_s* in seconds. *among* are all purchases of the customer. It is needed only if
        `access_cut` is set.
        """
        kept = {access.purchase_id: access for access in self.access}
        for one in (*among, purchase):
            if one.purchase_id not in kept or one is purchase:
                kept.pop(one.purchase_id, None)
                if granted := one.access(now=now, grace_s=grace_s):
                    kept[one.purchase_id] = granted
        return self._with(list(kept.values()), now=now)

    def current_access(self, *, now: int) -> tuple[Access, ...]:
        """Return what the customer may use at *now* (epoch seconds). Stored access that has ended is left out."""
        return tuple(access for access in self.access if access.holds(now=now))

    def _with(self, access: list[Access], *, now: int) -> "Account":
        """Keep at most 200 entries that still grant: the longest of each offer first, then the longest of the rest."""
        holding = sorted((one for one in access if one.holds(now=now)), key=_longest_first)
        first = list({one.offer_id: one for one in reversed(holding)}.values())
        rest = [one for one in holding if one not in first]
        kept = tuple(sorted([*first, *rest][:MOST_ACCESS], key=lambda one: one.purchase_id))
        moved = {one.entitlement for one in kept} != {one.entitlement for one in self.access}
        cut = len(kept) < len(holding)
        return replace(self, access=kept, access_cut=cut, billing_version=self.billing_version + moved)


def _longest_first(access: Access) -> tuple[float, str]:
    return (-access.until if access.until is not None else -inf, access.purchase_id)
