"""What runs by the clock keep in the table: who has the lease, and how far a run came."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import batched
from typing import Any

from paidup.model.account import Account
from paidup.model.purchase import Purchase
from paidup.model.reconciliation import Cursor, Round
from paidup.outside.dynamo import items
from paidup.outside.dynamo.client import PAGE, TableClient


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsTable(TableClient):
    """The table, as far as runs by the clock use it."""

    def claim_run(self, name: str, holder: str, *, until: int, now: int) -> bool:
        """Give the lease of the run *name* to *holder* until *until*, and return whether nobody else has it at *now*.

        Times are epoch seconds. A lease frees itself: a run that died hinders no other for longer.
        """
        try:
            self.client.put_item(
                TableName=self.name,
                Item=items.lease_item(name, holder, until=until),
                ConditionExpression=items.NOT_LEASED,
                ExpressionAttributeValues=items.serialize({":now": now, ":holder": holder}),
            )
        except self.client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def release_run(self, name: str, holder: str, *, now: int) -> None:
        """End the lease of *holder*. If somebody else has it by now, nothing changes."""
        self.claim_run(name, holder, until=now, now=0)

    def cursor(self, name: str) -> Cursor | None:
        """Return how far the run *name* came, or None if it never ran."""
        return self._one(Cursor, items.cursor_key(name))

    def round(self, name: str) -> Round | None:
        """Return the last round of the run *name*, or None if it never ran."""
        return self._one(Round, items.cursor_key(name))

    def running_accounts(self, after: str | None) -> Iterator[str]:
        """Yield the customers with a subscription that runs, after the customer *after*, shard by shard.

        The index may lag: read the account before acting.
        """
        shards, start = items.RUNNING_SHARDS, None
        if after is not None:
            start = items.running_place(after)
            shards = shards[shards.index(start["due_shard"]) :]
        for shard in shards:
            asked: dict[str, Any] = {
                "TableName": self.name,
                "IndexName": items.BY_DUE,
                "KeyConditionExpression": "due_shard = :shard",
                "ExpressionAttributeValues": items.serialize({":shard": shard}),
                "Limit": PAGE,
                **({"ExclusiveStartKey": items.serialize(start)} if start else {}),
            }
            start = None
            for item in self._pages(asked):
                yield str(items.deserialize(item)["customer_id"])

    def running_purchases(self, after: str | None) -> Iterator[tuple[str, list[Purchase]]]:
        """Yield each customer with a subscription that runs, after the customer *after*, with the purchases that do."""
        for customers in batched(self.running_accounts(after), PAGE, strict=False):
            found = self._get_all([items.account_key(one) for one in customers])
            running = {one.customer_id: one.running for one in (items.read_item(Account, it) for it in found.values())}
            keys = [items.purchase_key(one, an_id) for one, ids in running.items() for an_id in ids]
            purchases = [items.read_item(Purchase, item) for item in self._get_all(keys).values()]
            for one in customers:
                yield one, [purchase for purchase in purchases if purchase.customer_id == one]

    def move_cursor(self, name: str, cursor: Cursor | Round) -> None:
        """Remember that the run *name* came as far as *cursor*."""
        self.client.put_item(TableName=self.name, Item=items.cursor_item(name, cursor))
