"""The table's connections and tickets: which tabs a customer has open, and what opens one more."""

from dataclasses import dataclass

from paidup.model.connection import Connection, Ticket
from paidup.outside.dynamo import items, table
from paidup.outside.dynamo.client import TableClient

MOST_READ = 200  # far beyond the bound of a customer, which is restored by the next connection that opens


@dataclass(frozen=True, slots=True, kw_only=True)
class Connections(TableClient):
    """Connections and tickets. None of them is guarded by an account's version: they change nothing that was bought."""

    def keep(self, connection: Connection) -> None:
        """Write *connection*. Who reads it after that, finds it: both reads are consistent."""
        for item in items.connection_items(connection):
            self.client.put_item(TableName=self.name, Item=item)

    def of(self, customer_id: str) -> list[Connection]:
        """Return the customer's connections, those that have ended included: at most 200, by one query."""
        found = self._items_under(items.connection_key(customer_id, "")["pk"], "", MOST_READ)
        return [items.read_item(Connection, item) for item in found]

    def find(self, connection_id: str) -> Connection | None:
        """Return the connection, or None if it is not known (any more)."""
        return self._one(Connection, items.connection_by_id_key(connection_id))

    def remove(self, connection_id: str) -> Connection | None:
        """Remove the connection, and return what was known of it, or None if it was removed before."""
        item = self._taken(items.connection_by_id_key(connection_id))
        if item is None:
            return None
        known = items.read_item(Connection, item)
        self._taken(items.connection_key(known.customer_id, connection_id))
        return known

    def keep_ticket(self, secret: str, ticket: Ticket) -> None:
        """Write *ticket* under the digest of *secret*."""
        self.client.put_item(TableName=self.name, Item=items.ticket_item(secret, ticket))

    def take_ticket(self, secret: str) -> Ticket | None:
        """Take the ticket called *secret* away, and return it. Of many takers one gets it; the others get None.

        An expired ticket is returned too, since its removal by the table may lag.
        """
        item = self._taken(items.ticket_key(secret))
        return items.read_item(Ticket, item) if item else None

    def _taken(self, key: items.Key) -> items.Item | None:
        """Delete the item at *key*, and return what it was."""
        answer = self.client.delete_item(TableName=self.name, Key=items.serialize(key), ReturnValues="ALL_OLD")
        return answer.get("Attributes")


def connect(name: str) -> Connections:
    """Return the connections in the table called *name*, by the table's own client."""
    return Connections(client=table.connect(name).client, name=name)
