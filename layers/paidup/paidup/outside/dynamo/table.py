"""The table: consistent reads of one customer, and one transaction per write, guarded by the account's version."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

from paidup.model.account import Account, Owner
from paidup.model.booking import Booking
from paidup.model.checkout import Checkout, IdempotencyRecord
from paidup.model.errors import Contended, Malformed
from paidup.model.offer import Offer
from paidup.model.policy import Policy
from paidup.model.purchase import Purchase
from paidup.model.snapshot import Change, Due, Seen
from paidup.model.timeline import EventRecord, EventStatus, TimelineEntry
from paidup.outside.dynamo import items
from paidup.outside.dynamo.client import PAGE, Rows, attempts, refuse_when_late
from paidup.outside.dynamo.items import Item, Key

MOST_ITEMS = 1_000

# It answers in milliseconds: who waits longer had better ask again.
TIMEOUTS = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 3})


@dataclass(frozen=True, slots=True, kw_only=True)
class Table(Rows):
    """paidup's one table, as the business reads and writes it."""

    policy: Policy

    def load_for_update(self, customer_id: str, an_id: str | None = None, event: tuple[str, str] | None = None) -> Seen:
        """Return one consistent look at a customer: with *an_id* also the checkout and the pass of that id, with
        *event* (provider, event id) also that event's row.

        Raises LostRace when a writer is in the midst of it.
        """
        keys = [items.account_key(customer_id)]
        if an_id:
            kinds = (items.checkout_key, items.purchase_key, items.booking_key)
            keys += [key(customer_id, an_id) for key in kinds]
        if event:
            keys.append(items.event_key(*event))
        found = self._read_together(keys)
        return _seen(customer_id, an_id, event, found)

    def load(self, customer_id: str, an_id: str) -> Seen:
        """Return the account, checkout and pass in one cheap read; for readers, who write nothing from it."""
        keys = [
            items.account_key(customer_id),
            items.checkout_key(customer_id, an_id),
            items.purchase_key(customer_id, an_id),
        ]
        return _seen(customer_id, an_id, None, self._read_apart(keys))

    def load_open(self, customer_id: str) -> Seen:
        """Return the account with the checkout and the booking that its slots point at. The account is read first, so
        that whatever is written from this look fails when anything has moved since.
        """
        account = self.account(customer_id)
        checkout, booking = account.open_checkout_id, account.open_booking_id
        return Seen(
            account=account,
            checkout=self.checkout(customer_id, checkout) if checkout else None,
            booking=self.booking(customer_id, booking) if booking else None,
        )

    def account(self, customer_id: str) -> Account:
        """Return the customer's account; one that was never written is at version 0."""
        item = self._get(items.account_key(customer_id))
        return items.read_item(Account, item) if item else Account(customer_id=customer_id)

    def checkout(self, customer_id: str, checkout_id: str) -> Checkout | None:
        """Return the customer's checkout, if it is there."""
        item = self._get(items.checkout_key(customer_id, checkout_id))
        return items.read_item(Checkout, item) if item else None

    def idempotency_record(self, customer_id: str, key: str) -> IdempotencyRecord | None:
        """Return what the customer's request under the Idempotency-Key *key* was answered with, if it was."""
        item = self._get(items.idempotency_record_key(customer_id, key))
        return items.read_item(IdempotencyRecord, item) if item else None

    def checkouts_of(self, customer_id: str) -> list[Checkout]:
        """Return the customer's checkouts (at most 1,000): the paid ones, and those that ended within a week or so."""
        found = self._items_under(items.account_key(customer_id)["pk"], "CHECKOUT#", MOST_ITEMS)
        return [items.read_item(Checkout, item) for item in found]

    def purchase(self, customer_id: str, purchase_id: str) -> Purchase | None:
        """Return the customer's pass, if it is there."""
        item = self._get(items.purchase_key(customer_id, purchase_id))
        return items.read_item(Purchase, item) if item else None

    def booking(self, customer_id: str, booking_id: str) -> Booking | None:
        """Return the customer's booking, if it is there."""
        item = self._get(items.booking_key(customer_id, booking_id))
        return items.read_item(Booking, item) if item else None

    def booking_owner(self, booking_id: str) -> str | None:
        """Return the customer whose booking it is, if it is anybody's."""
        item = self._get(items.booking_owner_key(booking_id))
        return str(items.deserialize(item)["customer_id"]) if item else None

    def bookings_of(self, customer_id: str, *, most: int = PAGE) -> list[Booking]:
        """Return the customer's newest *most* bookings, newest first."""
        found = self._items_under(items.account_key(customer_id)["pk"], "BOOKING#", most)
        return sorted((items.read_item(Booking, item) for item in found), key=lambda one: -one.created_at)

    def waiting_bookings(self, *, most: int, after: Key | None = None) -> tuple[list[Booking], Key | None]:
        """Return up to *most* bookings that wait, the oldest first, from *after* on, and where the next page begins.

        The index may lag by a moment: whether one still waits is decided when it is accepted. Raises Malformed for an
        *after* in another list than this.
        """
        return self._listed_bookings(items.WAITING, most, after)

    def live_bookings(self, host: str, *, most: int, after: Key | None = None) -> tuple[list[Booking], Key | None]:
        """Return up to *most* bookings that *host* accepted and that are live, the first accepted first, page by
        page as those that wait. Raises Malformed.
        """
        return self._listed_bookings(items.live_with(host), most, after)

    def _listed_bookings(self, ref: str, most: int, after: Key | None) -> tuple[list[Booking], Key | None]:
        if after and after["ref"] != ref:
            raise Malformed("after", "is the page of another list")
        asked = self._asked_by_ref(ref, Limit=most)
        answer = self.client.query(**(asked | ({"ExclusiveStartKey": items.serialize(after)} if after else {})))
        last = answer.get("LastEvaluatedKey")
        return [items.read_item(Booking, item) for item in answer["Items"]], items.deserialize(last) if last else None

    def attention(self) -> list[EventRecord]:
        """Return every event that needs somebody: failed or quarantined, the oldest first."""
        return [items.read_item(EventRecord, item) for item in self._pages(self._asked_by_ref(items.ATTENTION))]

    def event(self, provider: str, event_id: str) -> EventRecord | None:
        """Return a provider's event from the log, if it is there."""
        item = self._get(items.event_key(provider, event_id))
        return items.read_item(EventRecord, item) if item else None

    def load_account(self, customer_id: str) -> tuple[Seen, list[Purchase]]:
        """Return the whole account as of one version: its open checkout and booking, and its passes, newest first.

        Reads again when a writer came between; raises Contended when writers keep coming.
        """
        for _ in attempts():
            seen = self.load_open(customer_id)
            purchases = list(self._items_under(items.account_key(customer_id)["pk"], "PURCHASE#", MOST_ITEMS))
            if self.account(customer_id).version == seen.account.version:
                purchase = [items.read_item(Purchase, item) for item in purchases]
                return seen, sorted(purchase, key=lambda one: -(one.paid_at or 0))
        raise Contended(customer_id)

    def commit(self, before: Account, change: Change, *, now: int) -> Account:
        """Write *change* in one transaction, if the account is still at the version of *before*.

        Returns the account as written. Raises LostRace when another writer was first.
        """
        after = replace(change.account, version=before.version + 1)
        guard: dict[str, Any] = {"ConditionExpression": items.NOT_THERE_YET}
        if before.version:
            values = items.serialize({":read": before.version})
            guard = {"ConditionExpression": items.VERSION_AS_READ, "ExpressionAttributeValues": values}
        puts = [self._put(items.account_item(after), **guard)]
        for slot, ref in after.customers.items():
            if before.customers.get(slot) != ref:
                puts.append(self._put(items.customer_item(after.customer_id, slot, ref)))
        puts += [self._put(items.checkout_item(one)) for one in change.checkouts]
        for purchase in change.purchases:
            due_at = purchase.due_at(now=now, grace_s=self.policy.grace_s)
            puts.append(self._put(items.purchase_item(purchase, due_at=due_at)))
        puts += [self._put(item) for booking in change.bookings for item in items.booking_items(booking)]
        puts += [self._put(items.timeline_item(entry, self.policy)) for entry in change.timeline]
        puts += [self._put(items.event_item(event, self.policy)) for event in change.events]
        puts += [self._put(items.idempotency_item(change.idempotency_record))] if change.idempotency_record else []
        self._write(puts)
        return after

    def log(self, event: EventRecord) -> None:
        """Write an event's row that goes with no change of a customer: failed, ignored, or nothing new.

        One that another worker has settled meanwhile stays settled.
        """
        try:
            self.client.put_item(
                TableName=self.name,
                Item=items.event_item(event, self.policy),
                ConditionExpression=items.NOT_SETTLED_YET,
                ExpressionAttributeNames=items.NAMED_STATUS,
                ExpressionAttributeValues=items.serialize({":settled": EventStatus.SETTLED.value}),
            )
        except self.client.exceptions.ConditionalCheckFailedException:
            return

    def find_owner(self, ref: str) -> Owner | None:
        """Return whose *ref* is: a provider's customer, or an object that a purchase is found by; None: nobody's."""
        answer = self.client.query(**self._asked_by_ref(ref, Limit=1))
        found = _due(answer["Items"][0]) if answer["Items"] else None
        return Owner(customer_id=found.customer_id, purchase_id=found.purchase_id) if found else None

    def due(self, shard: str, *, now: int) -> Iterator[Due]:
        """Yield what is due in *shard* at *now*, the longest due first, a page at a time."""
        asked: dict[str, Any] = {
            "TableName": self.name,
            "IndexName": items.BY_DUE,
            "KeyConditionExpression": "due_shard = :shard AND due_at <= :now",
            "ExpressionAttributeValues": items.serialize({":shard": shard, ":now": now}),
            "Limit": PAGE,
        }
        for item in self._pages(asked):
            yield _due(item)

    def timeline(self, customer_id: str, *, most: int = PAGE) -> list[TimelineEntry]:
        """Return the customer's newest *most* timeline entries, newest first."""
        found = self._items_under(f"TIMELINE#{customer_id}", "", most)
        return [items.read_item(TimelineEntry, item) for item in found]

    def offer(self, offer_id: str) -> Offer | None:
        """Return the offer, if it is sold."""
        item = self._get(items.offer_key(offer_id)) if offer_id else None
        return items.read_item(Offer, item) if item else None

    def offers(self) -> list[Offer]:
        """Return everything on sale (at most 1,000 offers), by id."""
        found = self._items_under(items.offer_key("")["pk"], "", MOST_ITEMS, newest_first=False)
        return [items.read_item(Offer, item) for item in found]

    def put_offer(self, offer: Offer) -> None:
        """Sell *offer* from now on, in place of one of the same id."""
        self.client.put_item(TableName=self.name, Item=items.offer_item(offer))


def _seen(
    customer_id: str, an_id: str | None, event: tuple[str, str] | None, found: dict[tuple[str, str], Item]
) -> Seen:
    def read(kind: type[Any], key: Key) -> Any:
        item = found.get((key["pk"], key["sk"]))
        return items.read_item(kind, item) if item else None

    return Seen(
        account=read(Account, items.account_key(customer_id)) or Account(customer_id=customer_id),
        checkout=read(Checkout, items.checkout_key(customer_id, an_id)) if an_id else None,
        purchase=read(Purchase, items.purchase_key(customer_id, an_id)) if an_id else None,
        booking=read(Booking, items.booking_key(customer_id, an_id)) if an_id else None,
        event=read(EventRecord, items.event_key(*event)) if event else None,
    )


def _due(item: Item) -> Due:
    plain = items.deserialize(item)
    kind, _, an_id = plain["sk"].partition("#")
    ids = {"CHECKOUT": "checkout_id", "PURCHASE": "purchase_id", "BOOKING": "booking_id"}
    return Due(customer_id=plain["customer_id"], **({ids[kind]: an_id} if kind in ids else {}))


@cache
def connect(name: str, policy: Policy) -> Table:
    """Return the table called *name*, with one client a process."""
    client = boto3.client("dynamodb", config=TIMEOUTS)
    client.meta.events.register("before-send.dynamodb", refuse_when_late)
    return Table(client=client, name=name, policy=policy)
