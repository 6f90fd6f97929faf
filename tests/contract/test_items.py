"""The table's rows: values are written in DynamoDB's words as boto3 writes them, and read back as they were."""

import zlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from boto3.dynamodb.types import TypeSerializer
from hypothesis import given
from hypothesis import strategies as st
from paidup.model.account import Account
from paidup.outside.dynamo import items, packing

from tests.handlers import sample

SCALARS = st.none() | st.booleans() | st.integers(-(10**37), 10**37) | st.text() | st.binary()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
ROWS = st.dictionaries(st.text(min_size=1), VALUES, max_size=6)


@given(ROWS)
def test_a_row_is_written_as_boto3_writes_it(row: Mapping[str, Any]) -> None:
    written = items.serialize(row)

    assert {"M": written} == TypeSerializer().serialize(dict(row))


@given(ROWS)
def test_a_row_is_read_as_it_was_written(row: Mapping[str, Any]) -> None:
    read = items.deserialize(items.serialize(row))

    assert read == row
    assert repr(read) == repr(row)  # in which 1 is not True


@pytest.mark.parametrize("value", [1.5, Decimal("1.5"), {"a", "b"}, object()])
def test_what_is_none_of_a_rows_values_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match=f"holds no {type(value).__name__}"):
        items.serialize({"name": {"inner": [value]}})


@pytest.mark.parametrize("attribute", [{"N": "1.5"}, {"SS": ["a"]}, {"NS": ["1"]}])
def test_what_paidup_never_writes_is_not_read_as_something_else(attribute: items.Item) -> None:
    with pytest.raises((TypeError, ValueError)):
        items.deserialize({"name": attribute})


@given(st.text())
def test_a_text_is_unpacked_as_it_was_packed(text: str) -> None:
    assert packing.unpack(packing.pack(text)) == text


def test_what_was_packed_once_can_be_read_for_good() -> None:
    """The vocabulary never changes: it would take what is stored with it."""
    stored = bytes.fromhex("78f980d55a05abc6db3ac1592ad5020030d813a7")

    assert packing.unpack(stored) == '{"object": "checkout.session", "payment_status": "paid"}'


def test_what_was_packed_with_another_vocabulary_is_not_read_as_something_else() -> None:
    stored = bytearray(packing.pack('{"object": "event"}'))
    stored[2] ^= 1

    with pytest.raises(zlib.error):
        packing.unpack(bytes(stored))


def test_an_event_takes_half_of_what_it_takes_compressed_alone() -> None:
    body = sample("receive_webhook")["body"]

    assert len(packing.pack(body)) < len(zlib.compress(body.encode(), 9)) / 2


def test_an_account_is_found_by_every_customer_that_a_provider_has_for_it() -> None:
    refs = {"stripe#-": "stripe#cus_1", "stripe#eur": "stripe#cus_2", "memory#-": "memory#customer_1"}
    account = Account(customer_id="ada", customers=refs)

    listed = [items.account_item(account), *items.customer_items(account)]

    assert sorted(one["ref"]["S"] for one in listed) == sorted(refs.values())
    assert len({(one["pk"]["S"], one["sk"]["S"]) for one in listed}) == 3
    assert items.read_item(Account, listed[0]) == account


def test_an_account_with_one_provider_customer_needs_no_item_more() -> None:
    nobody, one = Account(customer_id="ada"), Account(customer_id="ada", customers={"stripe#-": "stripe#cus_1"})

    assert items.customer_items(nobody) == items.customer_items(one) == []
    assert "ref" not in items.account_item(nobody)
    assert items.account_item(one)["ref"] == {"S": "stripe#cus_1"}
