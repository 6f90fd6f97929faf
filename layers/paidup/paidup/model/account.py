"""Accounts: one customer's version, what they may use, and their one open checkout."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from paidup.model.access import Access
from paidup.model.purchase import Purchase


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """What a provider's id leads to: a customer of ours and, where it is a thing they bought, their pass."""

    customer_id: str
    purchase_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One customer. Every write for the customer moves `version` by one; `billing_version` moves only when what the
    customer may use changes.

    `access` is what grants now and until when. `customers` are the customer's refs at the providers, by
    `<provider>#<currency>`, or `<provider>#-` if one serves every currency. `cancelled_checkout_id` is what they
    cancelled last, until they open another checkout.
    """

    customer_id: str
    version: int = 0
    billing_version: int = 0
    access: tuple[Access, ...] = ()
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

    def granting(self, purchase: Purchase, *, now: int, grace_s: int) -> "Account":
        """Return this account with the access that *held* gives at *now*, and no access that has run out."""
        granted = purchase.access(now=now, grace_s=grace_s)
        others = [access for access in self.access if access.purchase_id != purchase.purchase_id]
        return self._with([*others, granted] if granted else others, now=now)

    def current_access(self, *, now: int) -> tuple[Access, ...]:
        """Return what the customer may use at *now*: by the clock, not by what was stored."""
        return tuple(access for access in self.access if access.holds(now=now))

    def _with(self, access: list[Access], *, now: int) -> "Account":
        kept = tuple(sorted((one for one in access if one.holds(now=now)), key=lambda one: one.purchase_id))
        moved = {one.entitlement for one in kept} != {one.entitlement for one in self.access}
        return replace(self, access=kept, billing_version=self.billing_version + moved)
