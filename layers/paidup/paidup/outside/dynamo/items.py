"""The table's items: the only module that knows keys, indexes and attribute names.

| item              | pk                       | sk                       | ref                      | due_at        |
|-------------------|--------------------------|--------------------------|--------------------------|---------------|
| Account           | CUSTOMER#<customer>      | ACCOUNT                  |                          |               |
| provider customer | CUSTOMER#<customer>      | PROVIDER#<slot>          | stripe#cus_…             |               |
| Checkout          | CUSTOMER#<customer>      | CHECKOUT#<checkout>      | stripe#cs_…              | end, or now   |
| IdempotencyRecord | CUSTOMER#<customer>      | KEY#<hash of the key>    |                          |               |
| Purchase          | CUSTOMER#<customer>      | PURCHASE#<purchase>      | stripe#sub_…, pi_…       | end of access |
| Booking           | CUSTOMER#<customer>      | BOOKING#<booking>        | bookings#waiting, or     | while open    |
|                   |                          |                          | bookings#live#<host>     |               |
| booking's owner   | BOOKING#<booking>        | BOOKING                  |                          |               |
| TimelineEntry     | TIMELINE#<customer>      | <occurred_at>#<fact>     |                          |               |
| EventRecord       | EVENT#<provider>#<event> | EVENT                    | events#failed, if failed |               |
| ReviewCase        | CASE#<reason>-<purchase> | CASE                     | cases#open, if open      |               |
| Offer             | OFFERS                   | <offer>                  |                          |               |

A provider customer's slot is `<provider>#<currency>`, or `<provider>#-` for every currency. These items are purged
(`purge_at`, epoch seconds): a checkout 7 days after it ended unpaid, an idempotency record after 7 days, a booking and
its owner 90 days after it ended, a timeline entry after 400 days, an event after 90 days, a case 400 days after it was
decided.
"""

import gzip
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any
from zlib import crc32

from paidup.model import booking as bookings
from paidup.model.account import Account
from paidup.model.booking import Booking, BookingStatus
from paidup.model.case import ReviewCase
from paidup.model.checkout import KEPT_AFTER_END_S, Checkout, CheckoutStatus, IdempotencyRecord
from paidup.model.event import EventRecord, EventStatus
from paidup.model.offer import Offer
from paidup.model.purchase import Purchase
from paidup.model.timeline import TimelineEntry
from paidup.outside.dynamo.codec import from_plain, to_plain

Key = Mapping[str, str]
Item = dict[str, Any]

BY_REF = "by_ref"
BY_DUE = "by_due"
SHARDS = 16
DUE_SHARDS = tuple(f"due#{n:02d}" for n in range(SHARDS))  # purchases and bookings: a buyer waits for them
PAGE_SHARDS = tuple(f"pages#{n:02d}" for n in range(SHARDS))  # checkouts: their pages are closed one by one
FAILED = "events#failed"
OPEN_CASES = "cases#open"
WAITING = "bookings#waiting"

VERSION_AS_READ = "version = :read"
NOT_THERE_YET = "attribute_not_exists(pk)"
NOT_SETTLED_YET = "attribute_not_exists(pk) OR #status <> :settled"
LARGEST_BODY = 300 * 1024  # bytes; an item may have 400 KB in all
NAMED_STATUS = {"#status": "status"}


def account_key(customer_id: str) -> Key:
    """Where a customer's account lies."""
    return {"pk": f"CUSTOMER#{customer_id}", "sk": "ACCOUNT"}


def checkout_key(customer_id: str, checkout_id: str) -> Key:
    """Where a checkout lies."""
    return {"pk": f"CUSTOMER#{customer_id}", "sk": f"CHECKOUT#{checkout_id}"}


def idempotency_record_key(customer_id: str, key: str) -> Key:
    """Where an idempotency record lies. Its key is hashed, because callers choose the key."""
    return {"pk": f"CUSTOMER#{customer_id}", "sk": f"KEY#{sha256(key.encode()).hexdigest()}"}


def purchase_key(customer_id: str, purchase_id: str) -> Key:
    """Where a purchase lies."""
    return {"pk": f"CUSTOMER#{customer_id}", "sk": f"PURCHASE#{purchase_id}"}


def booking_key(customer_id: str, booking_id: str) -> Key:
    """Where a booking lies."""
    return {"pk": f"CUSTOMER#{customer_id}", "sk": f"BOOKING#{booking_id}"}


def booking_owner_key(booking_id: str) -> Key:
    """Where a booking's owner lies: hosts know a booking's id, but not its customer."""
    return {"pk": f"BOOKING#{booking_id}", "sk": "BOOKING"}


def event_key(provider: str, event_id: str) -> Key:
    """Where a provider's event lies."""
    return {"pk": f"EVENT#{provider}#{event_id}", "sk": "EVENT"}


def case_key(case_id: str) -> Key:
    """Where a review case lies."""
    return {"pk": f"CASE#{case_id}", "sk": "CASE"}


def offer_key(offer_id: str) -> Key:
    """Where an offer lies."""
    return {"pk": "OFFERS", "sk": offer_id}


def timeline_key(entry: TimelineEntry) -> Key:
    """Where a timeline entry lies. The entries of a customer sort by `occurred_at`."""
    return {"pk": f"TIMELINE#{entry.customer_id}", "sk": f"{entry.occurred_at:010d}#{entry.fact_id}"}


def live_with(host: str) -> str:
    """Return the ref under which the live bookings that *host* accepted are listed."""
    return f"bookings#live#{host}"


def due_shard(customer_id: str, shards: Sequence[str] = DUE_SHARDS) -> str:
    """Return the one of 16 partitions of the due index that holds the customer's items."""
    return shards[crc32(customer_id.encode()) % len(shards)]


def account_item(account: Account) -> Item:
    """Return the item of an account."""
    return _item(account_key(account.customer_id), account)


def customer_item(customer_id: str, slot: str, ref: str) -> Item:
    """Return the item by which a provider's customer is found. *slot* is as in `Account.customers`."""
    key = {"pk": f"CUSTOMER#{customer_id}", "sk": f"PROVIDER#{slot}"}
    return serialize({**key, "customer_id": customer_id, "ref": ref, "ref_at": 0})


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
    """Return the item of a purchase, due at *due_at* (epoch seconds; None: never)."""
    return _item(
        purchase_key(purchase.customer_id, purchase.purchase_id),
        purchase,
        ref=_ref(purchase.provider_ref, purchase.paid_at or 0),
        due=_due(purchase.customer_id, due_at),
    )


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


def event_item(event: EventRecord) -> Item:
    """Return the item of a provider's event, listed while it is failed. Its body is compressed.

    If the body is too large for an item, it is left out and `body_bytes` is its size. So the failure is still recorded.
    """
    failed = event.status is EventStatus.FAILED
    item = _item(
        event_key(event.provider, event.event_id),
        event,
        ref=_ref(FAILED if failed else None, event.received_at),
    )
    body = event.body.encode()
    compressed = gzip.compress(body, mtime=0)
    if len(compressed) > LARGEST_BODY:
        return {**item, "body": _to_attribute(gzip.compress(b"", mtime=0)), "body_bytes": _to_attribute(len(body))}
    return {**item, "body": _to_attribute(compressed)}


def case_item(case: ReviewCase) -> Item:
    """Return the item of a review case, listed while it is open."""
    return _item(case_key(case.case_id), case, ref=_ref(OPEN_CASES if case.open else None, case.opened_at))


def offer_item(offer: Offer) -> Item:
    """Return the item of an offer."""
    return _item(offer_key(offer.offer_id), offer)


def read_item[T](kind: type[T], item: Item) -> T:
    """Return the *kind* that *item* holds."""
    plain = deserialize(item)
    if isinstance(plain.get("body"), bytes):
        plain["body"] = gzip.decompress(plain["body"]).decode()
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
