"""Accounts: one customer's version, what they may use, and their one open checkout."""

from dataclasses import dataclass, replace

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
    customer may use changes. `access` is what grants now and until when; `provider_ref` is the provider's customer;
    `cancelled_checkout_id` is what they cancelled last, until they open another checkout.
    """

    customer_id: str
    version: int = 0
    billing_version: int = 0
    access: tuple[Access, ...] = ()
    open_checkout_id: str | None = None
    open_booking_id: str | None = None
    cancelled_checkout_id: str | None = None
    provider_ref: str | None = None
    sync_until: int | None = None
    syncs: tuple[int, ...] = ()

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
