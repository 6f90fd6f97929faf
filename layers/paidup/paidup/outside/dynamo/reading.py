"""Reading the table one thing or one list at a time: by key, by a provider's id, or page by page."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from paidup.model.account import Account, Owner
from paidup.model.booking import Booking
from paidup.model.case import ReviewCase
from paidup.model.checkout import Checkout, IdempotencyRecord
from paidup.model.errors import Malformed
from paidup.model.event import EventRecord
from paidup.model.offer import Offer
from paidup.model.purchase import Purchase
from paidup.model.timeline import TimelineEntry
from paidup.outside.dynamo import items
from paidup.outside.dynamo.client import PAGE, TableClient
from paidup.outside.dynamo.paging import WRONG, PageToken, decode

EVERY = 1_000_000  # a bound for queries that read all; no customer comes near it
PURCHASES = "purchases"
MOST_ITEMS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingTable(TableClient):
    """The table, as far as each read stands alone. Reads by key are consistent."""

    def account(self, customer_id: str) -> Account:
        """Return the customer's account. An account that was never written has version 0."""
        return self._one(Account, items.account_key(customer_id)) or Account(customer_id=customer_id)

    def checkout(self, customer_id: str, checkout_id: str) -> Checkout | None:
        """Return the customer's checkout, or None."""
        item = self._get(items.checkout_key(customer_id, checkout_id))
        return items.read_item(Checkout, item) if item and not items.moved_to(item) else None

    def checkouts_of(self, customer_id: str) -> list[Checkout]:
        """Return all checkouts of the customer that are stored. Unpaid ones are purged a week after they ended."""
        found = self._items_under(items.account_key(customer_id)["pk"], "CHECKOUT#", EVERY)
        return [items.read_item(Checkout, item) for item in found if not items.moved_to(item)]

    def idempotency_record(self, customer_id: str, key: str) -> IdempotencyRecord | None:
        """Return the record of the customer's request with the Idempotency-Key *key*, or None."""
        return self._one(IdempotencyRecord, items.idempotency_record_key(customer_id, key))

    def purchase(self, customer_id: str, purchase_id: str) -> Purchase | None:
        """Return the customer's purchase, or None."""
        return self._one(Purchase, items.purchase_key(customer_id, purchase_id))

    def purchases(self, customer_id: str, purchase_ids: Sequence[str]) -> dict[str, Purchase]:
        """Return the customer's purchases with these ids, by id. Missing ones are left out."""
        found = self._get_all([items.purchase_key(customer_id, an_id) for an_id in purchase_ids])
        read = [items.read_item(Purchase, item) for item in found.values()]
        return {one.purchase_id: one for one in read}

    def purchases_of(self, customer_id: str) -> Iterator[Purchase]:
        """Yield all purchases of the customer."""
        for item in self._items_under(items.account_key(customer_id)["pk"], "PURCHASE#", EVERY):
            yield items.read_item(Purchase, item)

    def purchases_page(self, customer_id: str, most: int, after: str | None) -> tuple[list[Purchase], str | None]:
        """Return up to *most* purchases of the customer after *after*, and the token of the next page (None: no more).

        Raises Malformed if *after* is not a token of this list.
        """
        start = items.purchase_key(customer_id, decode(after, of=PURCHASES).an_id) if after else None
        found = self._items_under(items.account_key(customer_id)["pk"], "PURCHASE#", most + 1, after=start)
        page = [items.read_item(Purchase, item) for item in found]
        if len(page) <= most:
            return page, None
        return page[:most], PageToken(of=PURCHASES, at=0, an_id=page[most - 1].purchase_id).encode()

    def purchase_owner(self, purchase_id: str) -> str | None:
        """Return the id of the first customer of a purchase whose uses are counted, or None if there is none.

        If support moved the purchase, what it left behind leads on. The purchase itself may not be there yet.
        """
        item = self._get(items.purchase_owner_key(purchase_id))
        return str(items.deserialize(item)["customer_id"]) if item else None

    def owner_now(self, customer_id: str, purchase_id: str) -> str:
        """Return the id of the customer who has the purchase now: *customer_id*, unless support moved it from there."""
        while moved_to := items.moved_to(self._get(items.checkout_key(customer_id, purchase_id))):
            customer_id = moved_to
        return customer_id

    def booking(self, customer_id: str, booking_id: str) -> Booking | None:
        """Return the customer's booking, or None."""
        return self._one(Booking, items.booking_key(customer_id, booking_id))

    def booking_owner(self, booking_id: str) -> str | None:
        """Return the id of the booking's customer, or None if there is no such booking."""
        item = self._get(items.booking_owner_key(booking_id))
        return str(items.deserialize(item)["customer_id"]) if item else None

    def bookings_of(self, customer_id: str, *, most: int = PAGE) -> list[Booking]:
        """Return the customer's newest *most* bookings, newest first."""
        found = self._items_under(items.account_key(customer_id)["pk"], "BOOKING#", most)
        return sorted((items.read_item(Booking, item) for item in found), key=lambda one: -one.created_at)

    def waiting_bookings(self, *, most: int, after: str | None = None) -> tuple[list[Booking], str | None]:
        """Return up to *most* waiting bookings after *after*, the oldest first, and the token of the next page.

        The index may lag, so a booking may have moved on. `Booking.accept` decides. Raises Malformed if *after* is not
        a token of this list.
        """
        return self._listed_bookings(items.WAITING, most, after)

    def live_bookings(self, host: str, *, most: int, after: str | None = None) -> tuple[list[Booking], str | None]:
        """Return up to *most* live bookings of *host*, the first accepted first, and the token of the next page.

        Raises Malformed if *after* is not a token of this list.
        """
        return self._listed_bookings(items.live_with(host), most, after)

    def _listed_bookings(self, ref: str, most: int, after: str | None) -> tuple[list[Booking], str | None]:
        asked = self._asked_by_ref(ref, Limit=most)
        if after:
            token = decode(after, of=ref)
            owner = self.booking_owner(token.an_id)
            if owner is None:
                raise Malformed("after", WRONG)
            start = {**items.booking_key(owner, token.an_id), "ref": ref, "ref_at": token.at}
            asked["ExclusiveStartKey"] = items.serialize(start)
        answer = self.client.query(**asked)
        found = [items.read_item(Booking, item) for item in self._whole(answer["Items"])]
        if not (last := answer.get("LastEvaluatedKey")):
            return found, None
        end = items.deserialize(last)
        return found, PageToken(of=ref, at=int(end["ref_at"]), an_id=end["sk"].partition("#")[2]).encode()

    def had_trial(self, email_hash: str, group: str) -> bool:
        """Whether a trial of *group* began for the e-mail address behind *email_hash*."""
        return self._get(items.trial_key(email_hash, group)) is not None

    def case(self, case_id: str) -> ReviewCase | None:
        """Return the review case, or None."""
        return self._one(ReviewCase, items.case_key(case_id))

    def event(self, provider: str, event_id: str) -> EventRecord | None:
        """Return the record of a provider's event, or None."""
        return self._one(EventRecord, items.event_key(provider, event_id))

    def find_owner(self, ref: str) -> Owner | None:
        """Return the owner of *ref* (a provider's customer, or an object by which a purchase is found), or None."""
        answer = self.client.query(**self._asked_by_ref(ref, Limit=1))
        if not answer["Items"]:
            return None
        found = items.deserialize(answer["Items"][0])
        kind, _, an_id = found["sk"].partition("#")
        purchase_id = {"PURCHASE": an_id, "CHECKOUT": an_id, "REF": found.get("purchase_id")}.get(kind)
        return Owner(customer_id=found["customer_id"], purchase_id=purchase_id)

    def timeline(self, customer_id: str, *, purchase_id: str | None = None, most: int = PAGE) -> list[TimelineEntry]:
        """Return the customer's newest *most* timeline entries, newest first.

        If *purchase_id* is given, return only its entries among these.
        """
        found = self._items_under(items.timeline_pk(customer_id), "", most)
        entries = [items.read_item(TimelineEntry, item) for item in found]
        return [one for one in entries if purchase_id in (None, one.purchase_id)]

    def offer(self, offer_id: str) -> Offer | None:
        """Return the offer, or None if it is not on sale."""
        return self._one(Offer, items.offer_key(offer_id)) if offer_id else None

    def offers(self) -> list[Offer]:
        """Return everything on sale (at most 1,000 offers), by id."""
        found = self._items_under(items.offer_key("")["pk"], "", MOST_ITEMS, newest_first=False)
        return [items.read_item(Offer, item) for item in found]

    def offer_at(self, *refs: str) -> Offer | None:
        """Return the offer on sale whose own `price` is one of *refs* (a price's id or lookup key), or None."""
        return next((one for one in self.offers() if one.price is not None and one.price in refs), None)
