"""The table: snapshots of a customer, and one transaction per write that the account's version guards."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from paidup.model.account import Account
from paidup.model.booking import Booking
from paidup.model.case import ReviewCase
from paidup.model.checkout import Checkout, CheckoutStatus, same_purchase
from paidup.model.errors import Contended
from paidup.model.event import EventRecord, EventStatus
from paidup.model.group import Running, TrialRecord, group_of, names_its_group, running
from paidup.model.move import Belongings
from paidup.model.offer import Offer
from paidup.model.purchase import Purchase
from paidup.model.snapshot import ChangeSet, Due, Snapshot
from paidup.model.use import Use
from paidup.outside import aws
from paidup.outside.dynamo import items
from paidup.outside.dynamo.client import PAGE, refuse_when_late
from paidup.outside.dynamo.desk import DeskTable
from paidup.outside.dynamo.items import Item, Key
from paidup.outside.dynamo.moving import MovingTable
from paidup.outside.dynamo.reading import ReadingTable
from paidup.outside.dynamo.runs import RunsTable
from paidup.outside.retry import attempts


@dataclass(frozen=True, slots=True, kw_only=True)
class Table(ReadingTable, MovingTable, RunsTable, DeskTable):
    """paidup's one table, as the flows read and write it."""

    def load_for_update(self, customer_id: str, an_id: str) -> Snapshot:
        """Return the customer's checkout, purchase and booking with the id *an_id*, and the booking in the slot. The
        account is read first: if anything moves after that, the commit fails.
        """
        account = self.account(customer_id)
        in_slot = account.open_booking_id
        keys = [key(customer_id, an_id) for key in (items.checkout_key, items.purchase_key, items.booking_key)]
        keys += [items.booking_key(customer_id, in_slot)] if in_slot and in_slot != an_id else []
        found = self._get_all(keys)
        snapshot = Snapshot(
            account=account,
            moved_to=items.moved_to(found.get(_place(items.checkout_key(customer_id, an_id)))),
            checkout=_read(Checkout, items.checkout_key(customer_id, an_id), found),
            purchase=_read(Purchase, items.purchase_key(customer_id, an_id), found),
            booking=_read(Booking, items.booking_key(customer_id, an_id), found),
            slot_booking=_read(Booking, items.booking_key(customer_id, in_slot), found) if in_slot else None,
        )
        return self._with_what_it_names(snapshot)

    def load(self, customer_id: str, an_id: str) -> Snapshot:
        """Return the account, checkout and purchase in one cheap call. For reading only: it guards no change."""
        account_key = items.account_key(customer_id)
        checkout_key, purchase_key = items.checkout_key(customer_id, an_id), items.purchase_key(customer_id, an_id)
        found = self._get_all([account_key, checkout_key, purchase_key])
        return Snapshot(
            account=_read(Account, account_key, found) or Account(customer_id=customer_id),
            checkout=_read(Checkout, checkout_key, found),
            purchase=_read(Purchase, purchase_key, found),
        )

    def load_open(self, customer_id: str) -> Snapshot:
        """Return the account, its open checkout, and the booking in its slot. The account is read first."""
        account = self.account(customer_id)
        checkout, booking = account.open_checkout_id, account.open_booking_id
        snapshot = Snapshot(
            account=account,
            checkout=self.checkout(customer_id, checkout) if checkout else None,
            slot_booking=self.booking(customer_id, booking) if booking else None,
        )
        return self._with_what_it_names(snapshot)

    def load_booking(self, customer_id: str, booking_id: str) -> Snapshot:
        """Return the account, the booking, and the purchase that paid for it. The account is read first."""
        account = self.account(customer_id)
        booking = self.booking(customer_id, booking_id)
        snapshot = Snapshot(
            account=account,
            booking=booking,
            slot_booking=booking if account.open_booking_id == booking_id else None,
            purchase=self.purchase(customer_id, booking.purchase_id) if booking else None,
        )
        return self._with_what_it_names(snapshot)

    def load_use(self, customer_id: str, purchase_id: str, use_id: str) -> Snapshot:
        """Return the account, the purchase, and the use that was taken from it. The account is read first."""
        account = self.account(customer_id)
        purchase_key, use_key = (
            items.purchase_key(customer_id, purchase_id),
            items.use_key(purchase_id, use_id),
        )
        found = self._get_all([purchase_key, use_key])
        purchase, use = _read(Purchase, purchase_key, found), _read(Use, use_key, found)
        left_behind = None if purchase else self._get(items.checkout_key(customer_id, purchase_id))
        snapshot = Snapshot(account=account, purchase=purchase, use=use, moved_to=items.moved_to(left_behind))
        return self._with_what_it_names(snapshot)

    def load_account(
        self, customer_id: str, *, most: int, after: str | None = None
    ) -> tuple[Snapshot, list[Purchase], str | None]:
        """Return the account with its open checkout and booking, a page of at most *most* purchases, newest first, and
        the token of the next page (None: no more). All are as of one version of the account.

        If a writer came between, reads again. Raises Contended if that never ends, and Malformed for a wrong *after*.
        """
        for _ in attempts():
            snapshot = self.load_open(customer_id)
            purchases, following = self.purchases_page(customer_id, most, after)
            if self.account(customer_id).version == snapshot.account.version:
                return snapshot, sorted(purchases, key=lambda one: -(one.paid_at or 0)), following
        raise Contended(customer_id)

    def with_family(self, snapshot: Snapshot) -> Snapshot:
        """Return *snapshot* with the checkouts that are linked to its checkout, and their purchases."""
        if snapshot.checkout is None:
            return snapshot
        customer_id = snapshot.account.customer_id
        family = same_purchase(snapshot.checkout, self.checkouts_of(customer_id))
        completed = [one.checkout_id for one in family if one.status is CheckoutStatus.COMPLETED]
        purchases = self.purchases(customer_id, completed)
        return replace(snapshot, family=tuple(family), family_purchases=purchases)

    def with_running(self, snapshot: Snapshot) -> Snapshot:
        """Return *snapshot* with the purchases that run, and with the checkout in the slot if it is another."""
        account, own = snapshot.account, snapshot.checkout
        in_slot = account.open_checkout_id
        elsewhere = in_slot is not None and (own is None or own.checkout_id != in_slot)
        return replace(
            snapshot,
            running=self.running(account),
            open_checkout=self.checkout(account.customer_id, in_slot) if in_slot and elsewhere else None,
        )

    def running(self, account: Account) -> tuple[Running, ...]:
        """Return the purchases that run. One read finds them, and one more the offers of plans that were changed."""
        if not account.running:
            return ()
        purchases = self.purchases(account.customer_id, account.running).values()
        sold = {one.sells for one in purchases if not names_its_group(one)} - {""}
        offers = self._get_all([items.offer_key(offer_id) for offer_id in sorted(sold)]) if sold else {}
        return running(purchases, [items.read_item(Offer, item) for item in offers.values()])

    def with_trial_record(self, snapshot: Snapshot) -> Snapshot:
        """Return *snapshot* with the trial record of its checkout's e-mail address and group."""
        checkout = snapshot.checkout
        if checkout is None or checkout.trial_email is None:
            return snapshot
        key = items.trial_key(checkout.trial_email, group_of(checkout.cart) or "")
        return replace(snapshot, trial_record=self._one(TrialRecord, key))

    def _with_what_it_names(self, snapshot: Snapshot) -> Snapshot:
        """Return *snapshot* with the purchase of the booking in the slot, and the open cases of its purchases."""
        customer_id, in_slot, purchase = snapshot.account.customer_id, snapshot.slot_booking, snapshot.purchase
        if in_slot and (purchase is None or purchase.purchase_id != in_slot.purchase_id):
            snapshot = replace(snapshot, slot_purchase=self.purchase(customer_id, in_slot.purchase_id))
        cases = [*(purchase.open_cases if purchase else ())]
        cases += snapshot.slot_purchase.open_cases if snapshot.slot_purchase else ()
        if cases:
            found = self._get_all([items.case_key(an_id) for an_id in cases])
            snapshot = replace(snapshot, cases=tuple(items.read_item(ReviewCase, item) for item in found.values()))
        if snapshot.account.access_cut:
            snapshot = replace(snapshot, all_purchases=tuple(self.purchases_of(customer_id)))
        return snapshot

    def commit(self, change: ChangeSet) -> Account:
        """Write *change* in one transaction, if the account still has the version of the snapshot.

        Returns the written account. Raises LostRace if another writer was first. Who owns a purchase with counted uses
        is written before, by itself: without the purchase it says nothing, and it costs half as much.
        """
        for purchase in change.newly_counted:
            self.client.put_item(TableName=self.name, Item=items.purchase_owner_item(purchase))
        before = change.snapshot.account
        after = replace(change.account, version=before.version + 1)
        puts = [self._put_account(before, after), *self._customers(before, after)]
        puts += [self._put(items.checkout_item(one)) for one in change.checkouts.values()]
        for an_id, due_at in change.purchases_due.items():
            puts.append(self._put(items.purchase_item(change.purchases[an_id], due_at=due_at)))
            puts += [self._put(item) for item in items.ref_items(change.purchases[an_id])]
        puts += [self._put(items.use_item(change.use))] if change.use else []
        puts += [self._put(item) for booking in change.bookings.values() for item in items.booking_items(booking)]
        puts += [self._put(items.timeline_item(entry)) for entry in change.timeline]
        puts += [self._put(items.case_item(case)) for case in change.cases.values()]
        puts += [self._put(items.idempotency_item(change.idempotency_record))] if change.idempotency_record else []
        if change.trial_record:  # another customer with the same address may have written it since
            once = {"ConditionExpression": items.NOT_THERE_YET}
            puts.append(self._put(items.trial_item(change.trial_record), **once))
        self._write(puts)
        return after

    def look_later(self, checkout: Checkout, *, due_at: int) -> None:
        """Let the open *checkout* be due at *due_at* (epoch seconds). If it changed since it was read, do nothing.

        Nothing else is written, so the account's version is not needed. If another writer puts the old time back, the
        page is looked at once more.
        """
        try:
            self.client.update_item(
                TableName=self.name,
                Key=items.serialize(items.checkout_key(checkout.customer_id, checkout.checkout_id)),
                UpdateExpression=items.NEW_DUE,
                ConditionExpression=items.DUE_AS_READ,
                ExpressionAttributeValues=items.serialize({":due": due_at, ":read": checkout.due_at}),
            )
        except self.client.exceptions.ConditionalCheckFailedException:
            return

    def belongings(self, account: Account, *, most: int) -> Belongings:
        """Return up to *most* of the customer's purchases or checkouts, each with all that has its id.

        What was moved is left out. Bookings that ended come last, by themselves.
        """
        customer_id, pk = account.customer_id, items.account_key(account.customer_id)["pk"]
        found = self._items_under(pk, "PURCHASE#", most)
        ids = [items.read_item(Purchase, item).purchase_id for item in found]
        if len(ids) < most:
            others = [one.checkout_id for one in self.checkouts_of(customer_id) if one.checkout_id not in ids]
            ids += others[: most - len(ids)]
        if not ids:
            return Belongings(bookings=tuple(self.bookings_of(customer_id, most=most)))
        snapshots = [self.load_for_update(customer_id, an_id) for an_id in ids]
        purchases = [one.purchase for one in snapshots if one.purchase]
        in_slot = [one.slot_booking for one in snapshots if one.slot_booking and one.slot_booking.purchase_id in ids]
        bookings = {one.booking_id: one for one in (*in_slot, *(one.booking for one in snapshots)) if one}
        cases = self._get_all([items.case_key(an_id) for one in purchases for an_id in one.open_cases])
        return Belongings(
            checkouts=tuple(one.checkout for one in snapshots if one.checkout),
            purchases=tuple(purchases),
            bookings=tuple(bookings.values()),
            cases=tuple(items.read_item(ReviewCase, item) for item in cases.values()),
        )

    def log(self, event: EventRecord) -> None:
        """Write the record of an event, which changes no customer. If the event is settled already, nothing is written.

        It is written by itself, after the effect of the event: in a transaction it would cost twice as much.
        """
        try:
            self.client.put_item(
                TableName=self.name,
                Item=items.event_item(event),
                ConditionExpression=items.NOT_SETTLED_YET,
                ExpressionAttributeNames=items.NAMED_STATUS,
                ExpressionAttributeValues=items.serialize({":settled": EventStatus.SETTLED.value}),
            )
        except self.client.exceptions.ConditionalCheckFailedException:
            return

    def due_access(self, *, now: int) -> Iterator[Due]:
        """Yield the purchases and bookings that are due at *now* (epoch seconds), in the order of `due_pages`."""
        return self._due(items.DUE_SHARDS, now=now)

    def due_pages(self, *, now: int) -> Iterator[Due]:
        """Yield the checkouts that are due at *now* (epoch seconds), the longest due first in each index partition.

        Each minute begins with another partition, so that no partition is always the last.
        """
        return self._due(items.PAGE_SHARDS, now=now)

    def _due(self, shards: Sequence[str], *, now: int) -> Iterator[Due]:
        first = now // 60 % len(shards)
        for shard in (*shards[first:], *shards[:first]):
            asked: dict[str, Any] = {
                "TableName": self.name,
                "IndexName": items.BY_DUE,
                "KeyConditionExpression": "due_shard = :shard AND due_at <= :now",
                "ExpressionAttributeValues": items.serialize({":shard": shard, ":now": now}),
                "Limit": PAGE,
            }
            for item in self._pages(asked):
                yield _due(item)

    def put_offer(self, offer: Offer) -> None:
        """Put *offer* on sale. It replaces an offer with the same id."""
        self.client.put_item(TableName=self.name, Item=items.offer_item(offer))


def _place(key: Key) -> tuple[str, str]:
    return key["pk"], key["sk"]


def _read[T](kind: type[T], key: Key, found: Mapping[tuple[str, str], Item]) -> T | None:
    item = found.get(_place(key))
    return items.read_item(kind, item) if item and not items.moved_to(item) else None


def _due(item: Item) -> Due:
    plain = items.deserialize(item)
    kind, _, an_id = plain["sk"].partition("#")
    ids = {"CHECKOUT": "checkout_id", "PURCHASE": "purchase_id", "BOOKING": "booking_id"}
    return Due(customer_id=plain["customer_id"], due_at=plain["due_at"], **({ids[kind]: an_id} if kind in ids else {}))


@cache
def connect(name: str) -> Table:
    """Return the table called *name*, with one client a process."""
    # It answers in milliseconds: who waits longer had better ask again.
    client = aws.client("dynamodb", read_s=2, tries=3)
    client.meta.events.register("before-send.dynamodb", refuse_when_late)
    return Table(client=client, name=name)
