"""The table's rows: values are written in DynamoDB's words as boto3 writes them, and read back as they were."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from boto3.dynamodb.types import TypeSerializer
from hypothesis import given
from hypothesis import strategies as st
from paidup.outside.dynamo import items

SCALARS = st.none() | st.booleans() | st.integers(-(10**37), 10**37) | st.text() | st.binary()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)
ROWS = st.dictionaries(st.text(min_size=1), VALUES)


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
