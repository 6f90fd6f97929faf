"""The customers whose accounts are worth a look. Commands read the whole table for that, functions never."""

from paidup.outside.dynamo import items
from paidup.outside.dynamo.table import Table

from tools import export

# Accounts, and timeline entries since a second, whose keys begin with it.
WANTED = "#sk = :account OR begins_with(#pk, :timeline) AND #sk >= :since"
SHOWN = ("pk", "sk", "access", "running")


def touched(table: Table, *, since: int) -> set[str]:
    """Return every customer who has access or a subscription that runs, or to whom anything happened since *since*.

    *since* is in epoch seconds. The whole table is read (see `export.pages`).
    """
    values = {":account": items.ACCOUNT, ":timeline": items.TIMELINE, ":since": f"{since:010d}"}
    found: set[str] = set()
    for page in export.pages(table, WANTED, values, SHOWN):
        for item in page:
            customer_id = item["pk"].partition("#")[2]
            if item["pk"].startswith(items.TIMELINE) or item.get("access") or item.get("running"):
                found.add(customer_id)
    return found
