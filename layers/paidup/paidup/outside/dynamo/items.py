"""The table's items: the only module that knows keys, indexes and attribute names.

| item              | pk                       | sk                       | ref                      | due_at        |
|-------------------|--------------------------|--------------------------|--------------------------|---------------|
| Account           | CUSTOMER#<customer>      | ACCOUNT                  | stripe#cus_…             | 0, if running |
| provider customer | CUSTOMER#<customer>      | PROVIDER#<slot>          | stripe#cus_…, if another |               |
| Checkout          | CUSTOMER#<customer>      | CHECKOUT#<checkout>      | stripe#cs_…              | end, or now   |
| IdempotencyRecord | CUSTOMER#<customer>      | KEY#<hash of the key>    |                          |               |
| Purchase          | CUSTOMER#<customer>      | PURCHASE#<purchase>      | stripe#sub_…, pi_…       | end of access |
| purchase's refs   | CUSTOMER#<customer>      | REF#<ref>                | stripe#sub_…, pi_…       |               |
| purchase's owner  | PURCHASE#<purchase>      | PURCHASE                 |                          |               |
| Use               | PURCHASE#<purchase>      | USE#<use>                |                          |               |
| Booking           | CUSTOMER#<customer>      | BOOKING#<booking>        | bookings#waiting, or     | while open    |
|                   |                          |                          | bookings#live#<host>     |               |
| booking's owner   | BOOKING#<booking>        | BOOKING                  |                          |               |
| TimelineEntry     | TIMELINE#<customer>      | <occurred_at>#<fact>     |                          |               |
| first token       | TOKENS#<customer>        | <billing version>        |                          |               |
| EventRecord       | EVENT#<provider>#<event> | EVENT                    | events#failed, if failed |               |
| ReviewCase        | CASE#<reason>-<purchase> | CASE                     | cases#open, if open      |               |
| Offer             | OFFERS                   | <offer>                  |                          |               |
| TrialRecord       | TRIAL#<e-mail's digest>  | <group>                  |                          |               |
| Connection        | CONNECTIONS#<customer>   | <connection>             |                          |               |
| the same by id    | CONNECTION#<connection>  | CONNECTION               |                          |               |
| Ticket            | TICKET#<digest>          | TICKET                   |                          |               |
| lease of a run    | SWEEP#<run>              | LEASE                    |                          |               |
| Cursor or Round   | SWEEP#<run>              | CURSOR                   |                          |               |
| read budget       | SWEEP#<provider>         | BUDGET                   |                          |               |

A provider customer's slot is as in `Account.customers`. The account itself is found by the customer in its first slot:
most have no other, and need no item more. If support moved a checkout or a purchase to another customer, the item of
the checkout names that customer as `moved_to`, and holds nothing else. Only a purchase whose uses are counted has an
owner item, which names its first customer. A trial record is kept for good. These items are purged (`purge_at`, epoch
seconds): a checkout 7 days after it ended unpaid, an idempotency record and a use after 7 days, a booking and its owner
90 days after it ended, a timeline entry after 400 days, an event after 90 days, a case 400 days after it was
decided, a connection after 3 hours, and a ticket when it expires.
"""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any
from zlib import crc32

from paidup.model import booking as bookings
from paidup.model.account import Account
from paidup.model.booking import Booking, BookingStatus
from paidup.model.bucket import Bucket
from paidup.model.case import ReviewCase
from paidup.model.checkout import KEPT_AFTER_END_S, Checkout, CheckoutStatus, IdempotencyRecord
from paidup.model.connection import Connection, Ticket
from paidup.model.event import EventRecord, EventStatus
from paidup.model.group import TrialRecord
from paidup.model.offer import Offer
from paidup.model.purchase import Purchase
from paidup.model.reconciliation import Cursor, Round
from paidup.model.timeline import TimelineEntry
from paidup.model.use import Use
from paidup.outside.dynamo.codec import from_plain, to_plain
from paidup.outside.dynamo.packing import pack, unpack

Key = Mapping[str, str]
Item = dict[str, Any]

BY_REF = "by_ref"
BY_DUE = "by_due"
SHARDS = 16
DUE_SHARDS = tuple(f"due#{n:02d}" for n in range(SHARDS))  # purchases and bookings: a buyer waits for them
PAGE_SHARDS = tuple(f"pages#{n:02d}" for n in range(SHARDS))  # checkouts: their pages are closed one by one
RUNNING_SHARDS = tuple(f"running#{n:02d}" for n in range(SHARDS))  # accounts with a subscription that runs: a list
LISTED_AT = 0  # the `due_at` of what is listed and never due
ACCOUNT = "ACCOUNT"
TIMELINE, EVENT, CASE = "TIMELINE#", "EVENT#", "CASE#"  # how the partitions of these begin
FAILED = "events#failed"
OPEN_CASES = "cases#open"
WAITING = "bookings#waiting"

VERSION_AS_READ = "version = :read"
NOT_THERE_YET = "attribute_not_exists(pk)"
NOT_SETTLED_YET = "attribute_not_exists(pk) OR #status <> :settled"
NEW_DUE, DUE_AS_READ = "SET due_at = :due", "due_at = :read"
NOT_LEASED = "attribute_not_exists(pk) OR leased_until <= :now OR holder = :holder"
LARGEST_BODY = 300 * 1024  # bytes; an item may have 400 KB in all
PACKED = "packed"
NAMED_STATUS = {"#status": "status"}


def account_key(customer_id: str) -> Key:
    """Where a customer's account lies."""
    return {"pk": f"CUSTOMER#{customer_id}", "sk": ACCOUNT}


def checkout_key(customer_id: str, checkout_id: str) -> Key:
    """Where a checkout lies."""
    return {"pk": f"CUSTOMER#{customer_id}", "sk": f"CHECKOUT#{checkout_id}"}


def idempotency_record_key(customer_id: str, key: str) -> Key:
    """Where an idempotency record lies. Its key is hashed, because callers choose the key."""
    return {"pk": f"CUSTOMER#{customer_id}", "sk": f"KEY#{sha256(key.encode()).hexdigest()}"}


def purchase_key(customer_id: str, purchase_id: str) -> Key:
    """Where a purchase lies."""
    return {"pk": f"CUSTOMER#{customer_id}", "sk": f"PURCHASE#{purchase_id}"}


def purchase_owner_key(purchase_id: str) -> Key:
    """Where the owner of a purchase with counted uses lies: hosts know the purchase's id, but not its customer."""
    return {"pk": f"PURCHASE#{purchase_id}", "sk": "PURCHASE"}


def use_key(purchase_id: str, use_id: str) -> Key:
    """Where a use lies: beside its purchase's owner, so that it stays where it is if the purchase is moved."""
    return {"pk": f"PURCHASE#{purchase_id}", "sk": f"USE#{use_id}"}


def booking_key(customer_id: str, booking_id: str) -> Key:
    """Where a booking lies."""
    return {"pk": f"CUSTOMER#{customer_id}", "sk": f"BOOKING#{booking_id}"}


def booking_owner_key(booking_id: str) -> Key:
    """Where a booking's owner lies: hosts know a booking's id, but not its customer."""
    return {"pk": f"BOOKING#{booking_id}", "sk": "BOOKING"}


def event_key(provider: str, event_id: str) -> Key:
    """Where a provider's event lies."""
    return {"pk": f"{EVENT}{provider}#{event_id}", "sk": "EVENT"}


def case_key(case_id: str) -> Key:
    """Where a review case lies."""
    return {"pk": f"{CASE}{case_id}", "sk": "CASE"}


def offer_key(offer_id: str) -> Key:
    """Where an offer lies."""
    return {"pk": "OFFERS", "sk": offer_id}


def lease_key(run: str) -> Key:
    """Return the key of the lease of a run by the clock."""
    return {"pk": f"SWEEP#{run}", "sk": "LEASE"}


def cursor_key(run: str) -> Key:
    """Return the key of the place where a run by the clock goes on."""
    return {"pk": f"SWEEP#{run}", "sk": "CURSOR"}


def budget_key(run: str) -> Key:
    """Return the key of the read budget of a provider."""
    return {"pk": f"SWEEP#{run}", "sk": "BUDGET"}


def trial_key(email_hash: str, group: str) -> Key:
    """Where the record of a trial lies."""
    return {"pk": f"TRIAL#{email_hash}", "sk": group}


def connection_key(customer_id: str, connection_id: str) -> Key:
    """Where a connection lies, beside the customer's others."""
    return {"pk": f"CONNECTIONS#{customer_id}", "sk": connection_id}


def connection_by_id_key(connection_id: str) -> Key:
    """Where a connection lies a second time: the gateway names its id, but not its customer."""
    return {"pk": f"CONNECTION#{connection_id}", "sk": "CONNECTION"}


def ticket_key(ticket: str) -> Key:
    """Where a ticket lies. It is hashed: what is read in the table opens nothing."""
    return {"pk": f"TICKET#{sha256(ticket.encode()).hexdigest()}", "sk": "TICKET"}


def timeline_pk(customer_id: str) -> str:
    """Return the partition of a customer's timeline."""
    return f"{TIMELINE}{customer_id}"


def timeline_key(entry: TimelineEntry) -> Key:
    """Where a timeline entry lies. The entries of a customer sort by `occurred_at`."""
    return {"pk": timeline_pk(entry.customer_id), "sk": f"{entry.occurred_at:010d}#{entry.fact_id}"}


def first_tokens_pk(customer_id: str) -> str:
    """Return the partition of a customer's first tokens."""
    return f"TOKENS#{customer_id}"


def first_token_key(entry: TimelineEntry) -> Key:
    """Where it lies when the first billing token of a version was issued. The entries of a customer sort by version."""
    return {"pk": first_tokens_pk(entry.customer_id), "sk": f"{entry.billing_version:010d}"}


def live_with(host: str) -> str:
    """Return the ref under which the live bookings that *host* accepted are listed."""
    return f"bookings#live#{host}"


def due_shard(customer_id: str, shards: Sequence[str] = DUE_SHARDS) -> str:
    """Return the one of 16 partitions of the due index that holds the customer's items."""
    return shards[crc32(customer_id.encode()) % len(shards)]


def account_item(account: Account) -> Item:
    """Return the item of an account, found by the provider's customer in its first slot.

    While a subscription runs, it is listed among the accounts with one.
    """
    first = min(account.customers, default="")
    return _item(
        account_key(account.customer_id),
        account,
        ref=_ref(account.customers.get(first), 0),
        listed=_due(account.customer_id, LISTED_AT, RUNNING_SHARDS) if account.running else None,
    )


def running_place(customer_id: str) -> Mapping[str, Any]:
    """Return where a customer's account lies in the list of accounts with a subscription that runs."""
    return {**account_key(customer_id), **(_due(customer_id, LISTED_AT, RUNNING_SHARDS) or {})}


def customer_items(account: Account) -> list[Item]:
    """Return the items by which an account is found if it has several provider customers: one for each other slot."""
    key, slots = f"CUSTOMER#{account.customer_id}", sorted(account.customers)[1:]
    common = {"pk": key, "customer_id": account.customer_id, "ref_at": 0}
    return [serialize({**common, "sk": f"PROVIDER#{slot}", "ref": account.customers[slot]}) for slot in slots]


def checkout_item(checkout: Checkout) -> Item:
    """Return the item of a checkout, due while something is left to do, and purged a week after it ended unpaid."""
    ended = checkout.ended_at if checkout.status is not CheckoutStatus.COMPLETED else None
    return _item(
        checkout_key(checkout.customer_id, checkout.checkout_id),
        checkout,
        ref=_ref(f"{checkout.provider}#{checkout.token}" if checkout.token else None, checkout.created_at),
        due=_due(checkout.customer_id, checkout.due_at, PAGE_SHARDS),
        purge_at=None if ended is None else ended + KEPT_AFTER_END_S,
    )


def idempotency_item(idempotency_record: IdempotencyRecord) -> Item:
    """Return the item of an idempotency record, which is purged after a week."""
    key = idempotency_record_key(idempotency_record.customer_id, idempotency_record.key)
    return _item(key, idempotency_record, purge_at=idempotency_record.at + KEPT_AFTER_END_S)


def purchase_item(purchase: Purchase, *, due_at: int | None) -> Item:
    """Return the item of a purchase, due at *due_at* (epoch seconds; None: never).

    All but its ids is packed as JSON: with its subscription and invoices it would take several kilobytes.
    """
    ids = {"customer_id": purchase.customer_id, "purchase_id": purchase.purchase_id}
    plain = {
        **purchase_key(purchase.customer_id, purchase.purchase_id),
        **ids,
        **(_ref(purchase.provider_ref, 0) or {}),
        **(_due(purchase.customer_id, due_at) or {}),
        PACKED: pack(json.dumps(to_plain(purchase), separators=(",", ":"))),
    }
    return serialize(plain)


def ref_items(purchase: Purchase) -> list[Item]:
    """Return the items by which a purchase is found if the provider has several objects for it: one for each other."""
    refs = [ref for ref in purchase.refs if ref != purchase.provider_ref]
    common = {"customer_id": purchase.customer_id, "purchase_id": purchase.purchase_id}
    pk = f"CUSTOMER#{purchase.customer_id}"
    return [serialize({"pk": pk, "sk": f"REF#{ref}", "ref": ref, "ref_at": 0, **common}) for ref in refs]


def purchase_owner_item(purchase: Purchase) -> Item:
    """Return the item by which a purchase with counted uses is found: under its first customer, moved or not."""
    return serialize({**purchase_owner_key(purchase.purchase_id), "customer_id": purchase.customer_id})


def use_item(use: Use) -> Item:
    """Return the item of a use, which is purged after a week."""
    return _item(use_key(use.purchase_id, use.use_id), use, purge_at=use.purge_at)


def booking_items(booking: Booking) -> list[Item]:
    """Return a booking's two items. They are listed and due while it is open, and purged 90 days after it ended."""
    purge_at = None if booking.ended_at is None else booking.ended_at + bookings.KEPT_AFTER_END_S
    item = _item(
        booking_key(booking.customer_id, booking.booking_id),
        booking,
        ref=_listed(booking),
        due=_due(booking.customer_id, booking.due_at),
        purge_at=purge_at,
    )
    whose = {**booking_owner_key(booking.booking_id), "customer_id": booking.customer_id}
    return [item, serialize(whose if purge_at is None else {**whose, "purge_at": purge_at})]


def timeline_item(entry: TimelineEntry) -> Item:
    """Return the item of a timeline entry."""
    return _item(timeline_key(entry), entry)


def first_token_item(entry: TimelineEntry) -> Item:
    """Return the item of a timeline entry about the first billing token of a version."""
    return _item(first_token_key(entry), entry)


def event_item(event: EventRecord) -> Item:
    """Return the item of a provider's event, listed while it is failed. Its body is packed.

    If the body is too large for an item, it is left out and `body_bytes` is its size. So the failure is still recorded.
    """
    failed = event.status is EventStatus.FAILED
    item = _item(
        event_key(event.provider, event.event_id),
        event,
        ref=_ref(FAILED if failed else None, event.received_at),
    )
    packed = pack(event.body)
    if len(packed) > LARGEST_BODY:
        return {**item, "body": _to_attribute(pack("")), "body_bytes": _to_attribute(len(event.body.encode()))}
    return {**item, "body": _to_attribute(packed)}


def case_item(case: ReviewCase) -> Item:
    """Return the item of a review case, listed while it is open."""
    return _item(case_key(case.case_id), case, ref=_ref(OPEN_CASES if case.open else None, case.opened_at))


def trial_item(record: TrialRecord) -> Item:
    """Return the item of a trial record."""
    return _item(trial_key(record.email_hash, record.group), record)


def connection_items(connection: Connection) -> list[Item]:
    """Return the two items of a connection, both purged after three hours."""
    by_id = connection_by_id_key(connection.connection_id)
    of_customer = connection_key(connection.customer_id, connection.connection_id)
    return [_item(key, connection, purge_at=connection.purge_at) for key in (by_id, of_customer)]


def ticket_item(secret: str, ticket: Ticket) -> Item:
    """Return the item of the *ticket* that is called *secret*, purged when it expires."""
    return _item(ticket_key(secret), ticket, purge_at=ticket.expires_at)


def lease_item(run: str, holder: str, *, until: int) -> Item:
    """Return the item by which *holder* has the lease of a run until the epoch second *until*."""
    return serialize({**lease_key(run), "holder": holder, "leased_until": until})


def cursor_item(run: str, cursor: Cursor | Round) -> Item:
    """Return the item of the place where a run goes on."""
    return _item(cursor_key(run), cursor)


def budget_item(run: str, bucket: Bucket, *, version: int) -> Item:
    """Return the item of a read budget in its *version*th state."""
    return _item(budget_key(run), bucket, version=version)


def moved_item(customer_id: str, an_id: str, *, to: str) -> Item:
    """Return the item that the customer's checkout or purchase *an_id* leaves behind if it is moved to the customer
    *to*.
    """
    return serialize({**checkout_key(customer_id, an_id), "moved_to": to})


def moved_to(item: Item | None) -> str | None:
    """Return the customer to whom the checkout of *item* was moved, or None."""
    return str(item["moved_to"]["S"]) if item and "moved_to" in item else None


def offer_item(offer: Offer) -> Item:
    """Return the item of an offer."""
    return _item(offer_key(offer.offer_id), offer)


def read_item[T](kind: type[T], item: Item) -> T:
    """Return the *kind* that *item* holds."""
    plain = deserialize(item)
    if isinstance(plain.get("body"), bytes):
        plain["body"] = unpack(plain["body"])
    if PACKED in plain:
        plain |= json.loads(unpack(plain[PACKED]))
    return from_plain(kind, plain)


def serialize(key: Mapping[str, Any]) -> Item:
    """Return plain names and values in DynamoDB's format."""
    return {name: _to_attribute(value) for name, value in key.items()}


def deserialize(item: Item) -> dict[str, Any]:
    """Return an item's names and plain values."""
    return {name: _from_attribute(value) for name, value in item.items()}


def _to_attribute(value: Any) -> Item:
    """Return *value* in DynamoDB's words: text, whole numbers, truth, nothing, bytes, lists and maps of them."""
    match value:
        case str():
            return {"S": value}
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": str(value)}
        case None:
            return {"NULL": True}
        case bytes():
            return {"B": value}
        case Mapping():
            return {"M": serialize(value)}
        case list() | tuple():
            return {"L": [_to_attribute(one) for one in value]}
    raise TypeError(f"The table holds no {type(value).__name__}.")


def _from_attribute(attribute: Item) -> Any:
    """Return the value that DynamoDB's *attribute* holds; sets and fractions are nothing that was written here."""
    ((kind, value),) = attribute.items()
    match kind:
        case "S" | "BOOL" | "B":
            return value
        case "N":
            return int(value)
        case "NULL":
            return None
        case "M":
            return deserialize(value)
        case "L":
            return [_from_attribute(one) for one in value]
    raise TypeError(f"The table holds no attribute of type {kind}.")


def _item(key: Key, thing: object, **extra: Any) -> Item:
    plain = {**to_plain(thing), **key}
    for name, value in extra.items():
        if isinstance(value, Mapping):
            plain.update(value)
        elif value is not None:
            plain[name] = value
    return serialize(plain)


def _ref(ref: str | None, at: int) -> Mapping[str, Any] | None:
    return {"ref": ref, "ref_at": at} if ref else None


def _listed(booking: Booking) -> Mapping[str, Any] | None:
    """Return where a booking is listed: for all hosts while it waits, for its host while it is live."""
    if booking.status is BookingStatus.LIVE and booking.host:
        return _ref(live_with(booking.host), booking.accepted_at or booking.created_at)
    return _ref(WAITING if booking.status is BookingStatus.WAITING else None, booking.created_at)


def _due(customer_id: str, at: int | None, shards: Sequence[str] = DUE_SHARDS) -> Mapping[str, Any] | None:
    return {"due_shard": due_shard(customer_id, shards), "due_at": at} if at is not None else None
