"""The access of a customer in one small read, for the gate: half a read unit, and no longer wait than a page stands."""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from paidup.model.account import Account
from paidup.outside import aws
from paidup.outside.dynamo import items

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

WANTED = "customer_id, billing_version, #access, access_cut"


class TableUnreachable(Exception):
    """The table does not answer, or not now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessTable:
    """The table *name*, of which the access of accounts is read and nothing else."""

    client: "DynamoDBClient"
    name: str

    def account(self, customer_id: str, *, consistent: bool) -> Account:
        """Return the customer's account with its `billing_version`, `access` and `access_cut` alone.

        Without *consistent* it costs half as much, and may lag behind a write by less than a second as a rule.
        Raises TableUnreachable.
        """
        try:
            answer = self.client.get_item(
                TableName=self.name,
                Key=items.serialize(items.account_key(customer_id)),
                ConsistentRead=consistent,
                ProjectionExpression=WANTED,
                ExpressionAttributeNames={"#access": "access"},
            )
        except (BotoCoreError, ClientError) as error:
            if not aws.is_outage(error):
                raise
            raise TableUnreachable(type(error).__name__) from error
        item = answer.get("Item")
        return items.read_item(Account, item) if item else Account(customer_id=customer_id)


@cache
def connect(name: str) -> AccessTable:
    """Return the table called *name*, with one client a process. A request waits 2 s for it at most, twice."""
    return AccessTable(client=aws.client("dynamodb", read_s=1, tries=2), name=name)
