"""The storefront's settings, and its table."""

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from paidup.model.policy import Policy
from paidup.outside import table
from paidup.outside.table import Table
from tools.local import template

ISSUER = "https://identity.example/pool"


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PAIDUP_TABLE": "storefront",
        "PAIDUP_IDENTITY_ISSUER": ISSUER,
        "PAIDUP_IDENTITY_AUDIENCE": "paidup",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def shelf() -> Iterator[Table]:
    """The table as the template describes it, empty."""
    described = template.read().tables["Table"]
    wanted = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")
    with mock_aws():
        table.connect.cache_clear()
        client = boto3.client("dynamodb")
        client.create_table(TableName="storefront", **{name: described[name] for name in wanted})
        yield Table(client=client, name="storefront", policy=Policy())
        table.connect.cache_clear()
