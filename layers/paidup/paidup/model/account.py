"""Accounts: one customer's version, what they may use, and their one open checkout."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf

from paidup.model.access import Access
from paidup.model.purchase import Purchase

MOST_ACCESS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """What a provider's id leads to: a customer of ours and, where it is a thing they bought, their pass."""

    customer_id: str
    purchase_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One customer. Every write for the customer moves `version` by one; `billing_version` moves only when what the
    customer may use changes.

    `access` is what grants now and until when, 200 at most, so that the item stays small; `access_cut` says that there is
    more. `customers` are the customer's refs at the providers, by
    `<provider>#<currency>`, or `<provider>#-` if one serves every currency. `cancelled_checkout_id` is what they
    cancelled last, until they open another checkout.
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

    def customer_refs(self, provider: str) -> list[str]:
        """Return the refs of the customer at *provider*, such as `memory#cus_1`."""
        return [ref for slot, ref in sorted(self.customers.items()) if slot.partition("#")[0] == provider]

    def known_as(self, ref: str) -> "Account":
        """Return this account with *ref* as the customer's ref at its provider."""
        return replace(self, customers={**self.customers, f"{ref.partition('#')[0]}#-": ref})

    def granting(self, purchase: Purchase, *, now: int, grace_s: int, among: Sequence[Purchase] = ()) -> "Account":
        """Return this account with the access that *purchase* gives at *now*, and no access that has run out.

        *among* are all purchases of the customer, if the account could not hold the access of all of them.
        """
        kept = {access.purchase_id: access for access in self.access}
        for one in (*among, purchase):
            if one.purchase_id not in kept or one is purchase:
                kept.pop(one.purchase_id, None)
                if granted := one.access(now=now, grace_s=grace_s):
                    kept[one.purchase_id] = granted
        return self._with(list(kept.values()), now=now)

    def current_access(self, *, now: int) -> tuple[Access, ...]:
        """Return what the customer may use at *now*: by the clock, not by what was stored."""
        return tuple(access for access in self.access if access.holds(now=now))

    def _with(self, access: list[Access], *, now: int) -> "Account":
        """Keep at most 200 of what still holds: first the longest of every offer, then the longest of all."""
        holding = sorted((one for one in access if one.holds(now=now)), key=_longest_first)
        first = list({one.offer_id: one for one in reversed(holding)}.values())
        rest = [one for one in holding if one not in first]
        kept = tuple(sorted([*first, *rest][:MOST_ACCESS], key=lambda one: one.purchase_id))
        moved = {one.entitlement for one in kept} != {one.entitlement for one in self.access}
        cut = len(kept) < len(holding)
        return replace(self, access=kept, access_cut=cut, billing_version=self.billing_version + moved)


def _longest_first(access: Access) -> tuple[float, str]:
    return (-access.until if access.until is not None else -inf, access.purchase_id)
