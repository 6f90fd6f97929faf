"""An account at what stands in for AWS, and what of template.yaml is made in it: tables, queues and secrets."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from paidup.outside.dynamo.table import Table

from tools.local.intrinsics import REGION, STACK_NAME, Resolver
from tools.local.template import Properties, Template

FIRST_ACCOUNT = "000000000000"
SECRET_KEY = "local"  # noqa: S105 - of no account of AWS's own

# One try, which may take as long as the slowest function.
PATIENT = Config(connect_timeout=5, read_timeout=90, retries={"total_max_attempts": 1})


class KeysChanged(Exception):
    """A table that is there has other keys than the template gives it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """An account at MiniStack, or at moto in this process, which has no endpoint.

    Accounts at MiniStack share nothing: an access key of 12 digits is an account of its own.
    """

    endpoint: str | None
    account: str = FIRST_ACCOUNT

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Cloud":
        """Return the account that *environment* (see below) leads to."""
        return cls(endpoint=environment["AWS_ENDPOINT_URL"], account=environment["AWS_ACCESS_KEY_ID"])

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which boto3 works on this account."""
        return ({"AWS_ENDPOINT_URL": self.endpoint} if self.endpoint else {}) | {
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": self.account,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, service: str) -> Any:
        """Return a boto3 client of *service* for this account, whatever credentials the environment holds."""
        return _session().client(  # type: ignore[call-overload]  # its types know services by literal name alone
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=self.account,
            aws_secret_access_key=SECRET_KEY,
            config=PATIENT,
        )

    def table(self, name: str) -> Table:
        """Return paidup's table called *name*."""
        return Table(client=self.client("dynamodb"), name=name)

    def deploy(self, template: Template, given: Mapping[str, Any], *, gateway: str) -> Resolver:
        """Make the tables and queues of *template* that are missing, and leave what is in the others.

        *given* sets the template's parameters. Its WebSocket API is at *gateway* (`ws://…`). Returns what its
        references come to from now on. Raises KeysChanged when a table has other keys than the template's.
        """
        resolver = Resolver(template=template, given=given, account=self.account)
        for logical_id, properties in template.tables.items():
            name = f"{STACK_NAME}-{logical_id}"
            resolver.refs[logical_id] = name
            made = self._table(name, resolver(properties))
            resolver.attributes[f"{logical_id}.Arn"] = made["TableArn"]
            resolver.attributes[f"{logical_id}.StreamArn"] = made["LatestStreamArn"]
        # Dead letters go to a queue of their own, which must be there first.
        for logical_id, properties in sorted(template.queues.items(), key=lambda queue: "RedrivePolicy" in queue[1]):
            name = f"{STACK_NAME}-{logical_id}"
            resolver.refs[logical_id] = self._queue(name, resolver(properties))
            resolver.attributes[f"{logical_id}.Arn"] = f"arn:aws:sqs:{REGION}:{self.account}:{name}"
            resolver.attributes[f"{logical_id}.QueueName"] = name
        resolver.put_sockets(gateway)
        return resolver

    def credentials(self, name: str, policies: Sequence[Properties]) -> dict[str, str]:
        """Return new credentials that allow what *policies* (documents) allow and nothing else, as an environment.

        They stand for a function's role: a user called *name*, since a role's credentials would end after hours.
        """
        iam = self.client("iam")
        try:
            iam.create_user(UserName=name)
        except iam.exceptions.EntityAlreadyExistsException:
            for old in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]:
                iam.delete_access_key(UserName=name, AccessKeyId=old["AccessKeyId"])
            for old in iam.list_user_policies(UserName=name)["PolicyNames"]:
                iam.delete_user_policy(UserName=name, PolicyName=old)
        for number, policy in enumerate(policies):
            iam.put_user_policy(UserName=name, PolicyName=f"policy-{number}", PolicyDocument=json.dumps(policy))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}

    def put_secret(self, name: str, value: Mapping[str, Any]) -> None:
        """Make the secret called *name*, or give it a new value."""
        secrets = self.client("secretsmanager")
        text = json.dumps(value)
        try:
            secrets.put_secret_value(SecretId=name, SecretString=text)
        except secrets.exceptions.ResourceNotFoundException:
            secrets.create_secret(Name=name, SecretString=text)

    def put_secret_once(self, name: str, make: Callable[[], Mapping[str, Any]]) -> None:
        """Make the secret called *name*. One that is there stays as it is."""
        try:
            self.secret(name)
        except self.client("secretsmanager").exceptions.ResourceNotFoundException:
            self.put_secret(name, make())

    def secret(self, name: str) -> dict[str, Any]:
        """Return the value of the secret called *name*."""
        text = self.client("secretsmanager").get_secret_value(SecretId=name)["SecretString"]
        value: dict[str, Any] = json.loads(text)
        return value

    def _table(self, name: str, properties: Properties) -> Any:
        dynamodb = self.client("dynamodb")
        try:
            there = dynamodb.describe_table(TableName=name)["Table"]
        except dynamodb.exceptions.ResourceNotFoundException:
            alike = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
            there = dynamodb.create_table(
                TableName=name,
                StreamSpecification={"StreamEnabled": True, **properties["StreamSpecification"]},
                **{key: properties[key] for key in alike if key in properties},
            )["TableDescription"]
            lifetime = properties["TimeToLiveSpecification"]
            dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=lifetime)
        if _keys(there) != _keys(properties):
            raise KeysChanged(name)
        return there

    def _queue(self, name: str, properties: Properties) -> str:
        sqs = self.client("sqs")
        try:
            url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
        except sqs.exceptions.QueueDoesNotExist:
            # Creating one that is there would lose its messages: MiniStack knows a queue by its port, too.
            url = sqs.create_queue(QueueName=name)["QueueUrl"]
        sqs.set_queue_attributes(QueueUrl=url, Attributes={key: _text(value) for key, value in properties.items()})
        return str(url)


@cache
def _session() -> boto3.Session:
    """Return the one session of this process, which has read the services' descriptions."""
    return boto3.Session()


def _keys(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of a table and of its indexes, in whatever order they were listed."""
    found = {index["IndexName"]: index["KeySchema"] for index in table.get("GlobalSecondaryIndexes", [])}
    return found | {"": table["KeySchema"]}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
