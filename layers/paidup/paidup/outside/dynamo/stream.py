"""The table's stream: what a record says of an account."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from paidup.outside.dynamo import items


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountChange:
    """A write of an account, at `at` (epoch seconds): the billing version `before` and `after`."""

    customer_id: str
    before: int
    after: int
    at: float

    @property
    def is_billing(self) -> bool:
        """Whether the access changed. Most writes of an account move other things."""
        return self.before != self.after


def account_change(record: Mapping[str, Any]) -> AccountChange:
    """Return what a record of the stream says. Raises KeyError, TypeError or ValueError if it is about no account."""
    written = record["dynamodb"]
    new = items.deserialize(written["NewImage"])
    old = items.deserialize(written.get("OldImage") or {})
    if new["sk"] != items.account_key("")["sk"]:
        raise ValueError("the record is about no account")
    return AccountChange(
        customer_id=new["customer_id"],
        before=old.get("billing_version", 0),
        after=new["billing_version"],
        at=float(written["ApproximateCreationDateTime"]),
    )
