"""Drafts: what one transaction is going to write for a customer, while it is still being worked out."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from paidup.flows.services import Services
from paidup.model.account import Account
from paidup.model.booking import Booking
from paidup.model.checkout import Checkout
from paidup.model.errors import Contended
from paidup.model.purchase import Purchase
from paidup.model.snapshot import Change, Seen
from paidup.model.timeline import EventRecord, TimelineEntry
from paidup.outside.dynamo.client import LostRace, attempts


@dataclass(slots=True, kw_only=True)
class Draft:
    """The rows of one customer as they are to be, by id; those put here are written, if they differ from before.

    Putting a pass moves the account's access with it; ending the checkout or booking that a slot points at frees it.
    `due_again` writes the pass even where it is as it was, so that its row is due when it should be next.
    """

    seen: Seen
    account: Account
    now: int
    grace_s: int
    checkouts: dict[str, Checkout] = field(default_factory=dict)
    purchases: dict[str, Purchase] = field(default_factory=dict)
    bookings: dict[str, Booking] = field(default_factory=dict)
    timeline: list[TimelineEntry] = field(default_factory=list)
    events: list[EventRecord] = field(default_factory=list)
    due_again: bool = False

    def put_checkout(self, checkout: Checkout) -> None:
        """Write *checkout*; an ended one gives its slot back."""
        self.checkouts[checkout.checkout_id] = checkout
        if checkout.ended and self.account.open_checkout_id == checkout.checkout_id:
            self.account = replace(self.account, open_checkout_id=None)

    def put_purchase(self, purchase: Purchase) -> None:
        """Write *held*, and what it gives its customer from now on."""
        self.purchases[purchase.purchase_id] = purchase
        self.account = self.account.granting(purchase, now=self.now, grace_s=self.grace_s)

    def put_booking(self, booking: Booking) -> None:
        """Write *booking*; an open one takes the slot, an ended one gives it back."""
        self.bookings[booking.booking_id] = booking
        if booking.open:
            self.account = replace(self.account, open_booking_id=booking.booking_id)
        elif self.account.open_booking_id == booking.booking_id:
            self.account = replace(self.account, open_booking_id=None)

    def change(self) -> Change | None:
        """Return what is to be written; None where nothing differs from what was seen."""
        seen = self.seen
        checkouts = [one for one in self.checkouts.values() if one != seen.checkout]
        purchases = [one for one in self.purchases.values() if self.due_again or one != seen.purchase]
        bookings = [one for one in self.bookings.values() if one != seen.booking]
        if not (checkouts or purchases or bookings or self.events or self.timeline) and self.account == seen.account:
            return None
        return Change(
            account=self.account,
            checkouts=checkouts,
            purchases=purchases,
            bookings=bookings,
            timeline=self.timeline,
            events=self.events,
        )


def rewritten(customer_id: str, an_id: str, step: Callable[[Draft], None], services: Services, *, now: int) -> Draft:
    """Look at the customer's checkout, pass and booking of the id *an_id*, take *step* with them, write what it put
    into the draft in one transaction, and return the draft. The slower of two writers looks again.

    Raises what *step* raises, and Contended after 12 lost races.
    """
    for _ in attempts():
        try:
            seen = services.table.load_for_update(customer_id, an_id)
        except LostRace:
            continue
        draft = Draft(seen=seen, account=seen.account, now=now, grace_s=services.policy.grace_s)
        step(draft)
        if (change := draft.change()) is None:
            return draft
        try:
            draft.account = services.table.commit(seen.account, change, now=now)
        except LostRace:
            continue
        return draft
    raise Contended(customer_id)
