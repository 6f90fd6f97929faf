"""What a purchase keeps beside its registers when a fact is merged: names of prices, pauses, invoices that matter."""

from collections.abc import Mapping
from dataclasses import dataclass

from paidup.model.fact import Entry, Invoice, InvoiceStatus, Item, Line, Payment, Subscription, Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """The offer that a price named, at the second `at` of the provider's clock."""

    offer_id: str
    at: int


def named(names: Mapping[str, Named], entry: Entry) -> Mapping[str, Named]:
    """Return *names* with those that the value in *entry* says. The newest name of a price is kept."""
    said: tuple[Item | Line, ...] = ()
    if isinstance(entry.value, Subscription):
        said = entry.value.items
    elif isinstance(entry.value, Invoice):
        said = entry.value.lines
    found = dict(names)
    for one in said:
        if one.offer_id:
            name = Named(offer_id=one.offer_id, at=entry.at)
            found[one.price] = max(name, found.get(one.price, name), key=lambda it: (it.at, it.offer_id))
    return found


def paused(before: Mapping[str, Entry], entry: Entry) -> Mapping[str, Entry]:
    """Return *before* with the subscription in *entry*, if its collection is paused: the newest such entry of each."""
    value = entry.value
    if not isinstance(value, Subscription) or not value.paused:
        return before
    return {**before, value.ref: entry.newer(before.get(value.ref))}


def paid_since(before: Mapping[str, int], value: Value) -> Mapping[str, int]:
    """Return when the newest paid period of each subscription began. It never moves back."""
    if not isinstance(value, Invoice) or value.status is not InvoiceStatus.PAID:
        return before
    starts = [line.start for line in value.lines if not line.credit and not line.prorated]
    return {**before, value.subscription: max(before.get(value.subscription, 0), *starts, 0)}


def without_past_invoices(registers: Mapping[str, Entry], since: Mapping[str, int]) -> dict[str, Entry]:
    """Return *registers* without the invoices whose time was over when the newest paid period began.

    One that gave back what an earlier invoice sold stays as long as that one. Until the checkout's payment is known,
    the first one stays too: it says what was paid. So a purchase of many years stays small. The rule depends on no
    order, because an invoice keeps its times: what is dropped is dropped again.
    """

    def matters(value: Value) -> bool:
        if not isinstance(value, Invoice) or value.matters_until > since.get(value.subscription, 0):
            return True
        return value.first and Payment.tag not in registers

    return {name: entry for name, entry in registers.items() if matters(entry.value)}
