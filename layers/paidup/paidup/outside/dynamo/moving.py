"""Writing a move: things of one customer become another's, guarded by both accounts' versions."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from paidup.model.account import Account
from paidup.model.move import Belongings, Move
from paidup.outside.dynamo import items
from paidup.outside.dynamo.client import TableClient
from paidup.outside.dynamo.items import Item


@dataclass(frozen=True, slots=True, kw_only=True)
class MovingTable(TableClient):
    """The table, as far as a move writes it."""

    def commit_move(self, move: Move) -> None:
        """Write *move* in one transaction, if both accounts still have the versions that were read.

        Raises LostRace if another writer of either customer was first.
        """
        old, new = move.source.customer_id, move.target.customer_id
        self._write(
            [
                self._put_account(move.source, replace(move.source_after, version=move.source.version + 1)),
                self._put_account(move.target, replace(move.target_after, version=move.target.version + 1)),
                *self._checkouts(move.belongings, old, new),
                *self._purchases(move, old),
                *self._bookings(move.belongings, old),
                *self._customers(move.source, move.source_after),
                *self._customers(move.target, move.target_after),
                *(self._put(items.case_item(case)) for case in move.belongings.cases),
                *(self._put(items.timeline_item(entry)) for entry in move.timeline),
            ]
        )

    def _checkouts(self, moved: Belongings, old: str, new: str) -> Iterator[Item]:
        """Yield the writes of the checkouts, and of what each checkout and purchase leaves behind.

        A purchase without a checkout may come back to where it left something behind before.
        """
        checkouts = {one.checkout_id: one for one in moved.checkouts}
        for an_id in checkouts.keys() | {one.purchase_id for one in moved.purchases}:
            yield self._put(items.moved_item(old, an_id, to=new))
            there = checkouts.get(an_id)
            yield self._put(items.checkout_item(there)) if there else self._delete(items.checkout_key(new, an_id))

    def _purchases(self, move: Move, old: str) -> Iterator[Item]:
        for purchase in move.belongings.purchases:
            due_at = move.purchases_due[purchase.purchase_id]
            yield self._put(items.purchase_item(purchase, due_at=due_at))
            yield self._delete(items.purchase_key(old, purchase.purchase_id))
            for item in items.ref_items(purchase):
                yield self._put(item)
                yield self._delete({"pk": items.account_key(old)["pk"], "sk": item["sk"]["S"]})

    def _bookings(self, moved: Belongings, old: str) -> Iterator[Item]:
        for booking in moved.bookings:
            yield from (self._put(item) for item in items.booking_items(booking))
            yield self._delete(items.booking_key(old, booking.booking_id))

    def _customers(self, before: Account, after: Account) -> Iterator[Item]:
        """Yield the writes of the items by which an account is found beside its own."""
        known, wanted = items.customer_items(before), items.customer_items(after)
        yield from (self._put(item) for item in wanted if item not in known)
        kept = [item["sk"] for item in wanted]
        for item in known:
            if item["sk"] not in kept:
                yield self._delete({"pk": item["pk"]["S"], "sk": item["sk"]["S"]})

    def _put_account(self, before: Account, after: Account) -> Item:
        """Return the write of the account *after*, if the account still has the version of *before*."""
        guard: dict[str, Any] = {"ConditionExpression": items.NOT_THERE_YET}
        if before.version:
            values = items.serialize({":read": before.version})
            guard = {"ConditionExpression": items.VERSION_AS_READ, "ExpressionAttributeValues": values}
        return self._put(items.account_item(after), **guard)
