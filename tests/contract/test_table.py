"""The table in memory and MiniStack's, held to the same behaviour: what DynamoDB documents of paidup's calls."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError, ParamValidationError
from paidup.model.account import Account
from paidup.model.offer import Kind, Offer
from paidup.model.policy import Policy
from paidup.model.snapshot import ChangeSet, Snapshot
from paidup.outside.dynamo import items
from paidup.outside.dynamo.table import Table
from paidup.outside.retry import LostRace

from tools.fakes.memory.table import MemoryTable
from tools.local import ministack
from tools.local.cloud import Cloud

Item = dict[str, Any]

NOW = 1_795_251_600
KB = 1024
MOST_BYTES = 400 * KB
FRESH = count()


@dataclass(frozen=True, slots=True)
class Place:
    """A table, and a partition of it for one test alone."""

    client: Any
    name: str
    pk: str = field(default_factory=lambda: f"partition-{next(FRESH)}")

    @property
    def table(self) -> Table:
        """The table as paidup uses it."""
        return Table(client=cast("Any", self.client), name=self.name)

    def row(self, sk: str, **attributes: Item) -> Item:
        return {"pk": {"S": self.pk}, "sk": {"S": sk}, **attributes}

    def listed(self, sk: str, at: str, **attributes: Item) -> Item:
        """Return a row that the index by_ref lists at the number *at*, under the partition's own name."""
        return self.row(sk, ref={"S": self.pk}, ref_at={"N": at}, **attributes)

    def put(self, *rows: Item, **guard: Any) -> None:
        for row in rows:
            self.client.put_item(TableName=self.name, Item=row, **guard)

    def transact(self, *rows: Item, **guard: Any) -> None:
        """Write *rows* together; *guard* is the last one's."""
        puts = [{"Put": {"TableName": self.name, "Item": row}} for row in rows]
        puts[-1]["Put"] |= guard
        self.client.transact_write_items(TransactItems=puts)

    def get(self, sk: str) -> Item | None:
        answer = self.client.get_item(TableName=self.name, Key=self.row(sk), ConsistentRead=True)
        found: Item | None = answer.get("Item")
        return found

    def get_batch(self, *sks: str) -> list[Item]:
        asked = {"Keys": [self.row(sk) for sk in sks], "ConsistentRead": True}
        answer = self.client.batch_get_item(RequestItems={self.name: asked})
        assert not answer["UnprocessedKeys"]
        found: list[Item] = answer["Responses"][self.name]
        return found

    def asked(self, index: str = "", then: str = "", **values: Item) -> Item:
        """Return a query of the partition in the table or in an *index*, *then* with more of a key condition."""
        name = {"": "pk", "by_ref": "ref", "by_due": "due_shard"}[index]
        more = {"IndexName": index} if index else {"ConsistentRead": True}
        return {
            "TableName": self.name,
            "KeyConditionExpression": "#own = :own" + then,
            "ExpressionAttributeNames": {"#own": name},
            "ExpressionAttributeValues": {":own": {"S": self.pk}} | {f":{key}": one for key, one in values.items()},
            **more,
        }

    def found(self, asked: Item, **more: Any) -> list[str]:
        """Return the sort keys that a query finds, page after page."""
        return [sk for page in self.pages(asked, **more) for sk in page]

    def pages(self, asked: Item, **more: Any) -> Iterator[list[str]]:
        start: Item = {}
        while True:
            answer = self.client.query(**asked, **more, **start)
            assert answer["Count"] == answer["ScannedCount"] == len(answer["Items"])
            yield [item["sk"]["S"] for item in answer["Items"]]
            if "LastEvaluatedKey" not in answer:
                return
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}


@pytest.fixture(scope="module", params=["in memory", "at MiniStack"])
def anywhere(request: pytest.FixtureRequest) -> Place:
    if request.param == "in memory":
        return Place(MemoryTable(), "paidup")
    return at_ministack(request.getfixturevalue("aws"))


@pytest.fixture
def place(anywhere: Place) -> Place:
    return Place(anywhere.client, anywhere.name)


def at_ministack(aws: ministack.Running) -> Place:
    environment = aws.account()
    return Place(Cloud.of(environment).client("dynamodb"), environment["PAIDUP_TABLE"])


def refusal(call: Callable[[], Any]) -> Item:
    """Return what *call* was refused with."""
    with pytest.raises(ClientError) as refused:
        call()
    answer: Any = refused.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400
    return cast("Item", answer)


def code(call: Callable[..., Any], *arguments: Any, **named: Any) -> str:
    return str(refusal(lambda: call(*arguments, **named))["Error"]["Code"])


def bytes_of(size: int) -> Item:
    return {"B": b"x" * size}


# ---------------------------------------------------------------- single rows


def test_a_row_is_read_as_it_was_written(place: Place) -> None:
    everything = place.row(
        "all",
        text={"S": "Zoë 🙂"},
        nothing={"S": ""},
        body={"B": b"\x1f\x8b\x00\xff"},
        yes={"BOOL": True},
        none={"NULL": True},
        nested={"M": {"list": {"L": [{"N": "1"}, {"M": {}}, {"S": "b"}]}}},
        purge_at={"N": str(NOW + 10_000_000_000)},
    )

    place.put(everything)

    assert place.get("all") == everything


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("1.50", "1.5"),
        ("007", "7"),
        ("1E3", "1000"),
        ("-0", "0"),
        ("-12.0", "-12"),
        ("0.001", "0.001"),
        ("9" * 38, "9" * 38),
    ],
)
def test_a_number_is_kept_exactly_and_written_plainly(place: Place, written: str, read: str) -> None:
    place.put(place.row("number", n={"N": written}, deep={"L": [{"N": written}]}))

    assert place.get("number") == place.row("number", n={"N": read}, deep={"L": [{"N": read}]})


@pytest.mark.parametrize("wrong", ["x", "", "NaN", "1" * 39, "1E126"])
def test_what_is_no_number_of_dynamodbs_is_refused(place: Place, wrong: str) -> None:
    assert code(place.put, place.row("number", n={"N": wrong})) == "ValidationException"
    assert place.get("number") is None


def test_a_row_is_replaced_as_a_whole(place: Place) -> None:
    place.put(place.listed("row", "1", a={"S": "old"}))

    place.put(place.row("row", b={"S": "new"}))

    assert place.get("row") == place.row("row", b={"S": "new"})
    assert place.found(place.asked("by_ref")) == []


def test_a_transaction_writes_and_deletes_or_does_nothing_if_a_condition_fails(place: Place) -> None:
    place.put(place.listed("old", "1"), place.row("other"))
    gone = [{"Delete": {"TableName": place.name, "Key": place.row(sk)}} for sk in ("old", "never")]
    put = {"TableName": place.name, "Item": place.listed("new", "2")}
    refused = put | {"ConditionExpression": items.NOT_THERE_YET, "Item": place.row("other")}

    error = code(place.client.transact_write_items, TransactItems=[*gone, {"Put": refused}])
    kept = place.get("old")
    place.client.transact_write_items(TransactItems=[*gone, {"Put": put}])

    assert error == "TransactionCanceledException"
    assert kept == place.listed("old", "1")
    assert place.get("old") is None
    assert place.found(place.asked()) == ["new", "other"]
    assert place.found(place.asked("by_ref")) == ["new"]


def test_a_write_that_is_refused_tells_what_is_there_if_it_is_asked_for(place: Place) -> None:
    place.put(place.row("row", n={"N": "1"}))
    taken: Item = {"ConditionExpression": items.NOT_THERE_YET, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}

    told = refusal(lambda: place.put(place.row("row", n={"N": "2"}), **taken))

    assert told["Item"] == place.row("row", n={"N": "1"})


def test_a_row_that_is_deleted_is_told_once_and_listed_no_more(place: Place) -> None:
    place.put(place.listed("row", "1"))
    gone = {"TableName": place.name, "Key": place.row("row"), "ReturnValues": "ALL_OLD"}

    first, second = place.client.delete_item(**gone), place.client.delete_item(**gone)

    assert first["Attributes"] == place.listed("row", "1")
    assert "Attributes" not in second
    assert place.found(place.asked("by_ref")) == place.found(place.asked()) == []


def test_a_read_returns_the_attributes_that_it_names(place: Place) -> None:
    place.put(place.row("row", a={"N": "1"}, b={"N": "2"}))
    asked = {"TableName": place.name, "Key": place.row("row"), "ProjectionExpression": "a, #other"}

    found = place.client.get_item(**asked, ExpressionAttributeNames={"#other": "c"})

    assert found["Item"] == {"a": {"N": "1"}}


def test_a_scan_finds_in_its_segments_what_its_filter_asks_for(place: Place) -> None:
    partitions = [f"{place.pk}-{n}" for n in range(20)]
    place.put(*({"pk": {"S": pk}, "sk": {"S": sk}, "n": ONE, "m": ONE} for pk in partitions for sk in ("a", "b", "c")))
    asked: Item = {
        "TableName": place.name,
        "TotalSegments": 3,
        "FilterExpression": "begins_with(pk, :own) AND sk >= :b OR sk = :none",
        "ProjectionExpression": "pk, #sort, n",
        "ExpressionAttributeNames": {"#sort": "sk"},
        "ExpressionAttributeValues": {":own": {"S": f"{place.pk}-"}, ":b": {"S": "b"}, ":none": {"S": "none"}},
    }

    found = [row for n in range(3) for row in place.client.scan(**asked, Segment=n)["Items"]]

    expected = [(pk, sk, ("n", "pk", "sk")) for pk in partitions for sk in ("b", "c")]
    assert sorted((row["pk"]["S"], row["sk"]["S"], tuple(sorted(row))) for row in found) == sorted(expected)


def test_what_was_read_and_written_is_the_callers_own(place: Place) -> None:
    written = place.row("row", m={"M": {"a": {"S": "kept"}}})
    place.put(written)
    written["m"]["M"]["a"]["S"] = "changed by the writer"
    read = [place.get("row") or {}, *place.get_batch("row"), *place.client.query(**place.asked())["Items"]]

    for row in read:
        row["m"]["M"]["a"] = {"S": "changed by a reader"}

    assert place.get("row") == place.row("row", m={"M": {"a": {"S": "kept"}}})


def test_what_is_not_there_is_left_out(place: Place) -> None:
    place.put(place.row("b"), place.row("d"))

    assert place.get("a") is None
    assert sorted(row["sk"]["S"] for row in place.get_batch("d", "a", "b")) == ["b", "d"]
    assert place.found(place.asked("by_due")) == []


# ---------------------------------------------------------------- conditions

ONE, OTHER, TEXT = {"N": "1"}, {"N": "2"}, {"S": "1"}


@pytest.mark.parametrize(
    ("condition", "value", "holds"),
    [
        ("attribute_not_exists(pk)", None, False),
        ("attribute_exists(pk)", None, True),
        ("attribute_not_exists(absent)", None, True),
        ("version = :v", ONE, True),
        ("version = :v", {"N": "1.0"}, True),
        ("version = :v", OTHER, False),
        ("version = :v", TEXT, False),
        ("absent = :v", ONE, False),
        ("version <> :v", ONE, False),
        ("version <> :v", OTHER, True),
        ("version <> :v", TEXT, True),
        ("absent <> :v", ONE, True),
        ("version < :v", OTHER, True),
        ("version >= :v", OTHER, False),
        ("version < :v", TEXT, False),
        ("absent < :v", ONE, False),
        ("attribute_not_exists(pk) OR version = :v", ONE, True),
        ("attribute_not_exists(pk) OR version = :v", OTHER, False),
        ("attribute_exists(pk) AND version = :v", OTHER, False),
        ("version = :v OR attribute_not_exists(pk) AND absent = :v", ONE, True),
        ("attribute_not_exists(pk) AND absent = :v OR version = :v", ONE, True),
    ],
)
@pytest.mark.parametrize("together", [False, True], ids=["alone", "in a transaction"])
def test_a_row_is_written_only_if_its_condition_holds(
    place: Place, condition: str, value: Item | None, *, holds: bool, together: bool
) -> None:
    before, after = place.row("row", version=ONE), place.row("row", version=ONE, written={"BOOL": True})
    place.put(before)
    guard = {"ConditionExpression": condition} | ({"ExpressionAttributeValues": {":v": value}} if value else {})
    write = place.transact if together else place.put

    if holds:
        write(after, **guard)
    else:
        refused = "TransactionCanceledException" if together else "ConditionalCheckFailedException"
        assert code(write, after, **guard) == refused

    assert place.get("row") == (after if holds else before)


@pytest.mark.parametrize(("asked", "shown"), [("ALL_OLD", True), ("NONE", False)])
def test_a_refused_write_shows_what_is_there_if_it_is_asked_to(place: Place, asked: str, shown: bool) -> None:
    there = place.row("a", version={"N": "1"})
    place.put(there)

    with pytest.raises(place.client.exceptions.ConditionalCheckFailedException) as refused:
        place.put(
            place.row("a"),
            ConditionExpression="attribute_not_exists(pk)",
            ReturnValuesOnConditionCheckFailure=asked,
        )

    assert refused.value.response.get("Item") == (there if shown else None)


def test_a_row_that_is_not_there_has_no_version_to_match(place: Place) -> None:
    row = place.row("row", version=ONE)
    guard = {"ConditionExpression": items.VERSION_AS_READ, "ExpressionAttributeValues": {":read": ONE}}

    assert code(place.transact, row, **guard) == "TransactionCanceledException"
    assert place.get("row") is None


def test_a_failed_condition_is_caught_by_its_name(place: Place) -> None:
    place.put(place.row("row"))

    with pytest.raises(place.client.exceptions.ConditionalCheckFailedException, match="The conditional request failed"):
        place.put(place.row("row"), ConditionExpression=items.NOT_THERE_YET)


@pytest.mark.parametrize(
    "wrong",
    [
        {"ConditionExpression": "version = :read"},
        {"ConditionExpression": "#version = :v", "ExpressionAttributeValues": {":v": ONE}},
        {"ConditionExpression": "attribute_exists(pk)", "ExpressionAttributeValues": {":v": ONE}},
        {"ConditionExpression": "attribute_exists(pk)", "ExpressionAttributeNames": {"#pk": "pk"}},
    ],
    ids=["a value that is not given", "a name that is not given", "a value too many", "a name too many"],
)
def test_placeholders_are_all_given_and_all_used(place: Place, wrong: Item) -> None:
    place.put(place.row("row", version=ONE))

    assert code(place.put, place.row("row"), **wrong) == "ValidationException"


# ---------------------------------------------------------------- transactions


def test_of_a_transaction_with_one_failed_condition_nothing_is_written(place: Place) -> None:
    place.put(place.row("there"))

    refused = refusal(
        lambda: place.transact(
            place.row("first"), place.listed("second", "1"), place.row("there"), ConditionExpression=items.NOT_THERE_YET
        )
    )

    assert refused["Error"]["Code"] == "TransactionCanceledException"
    assert refused["Error"]["Message"].endswith("[None, None, ConditionalCheckFailed]")
    failed = {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}
    assert refused["CancellationReasons"] == [{"Code": "None"}, {"Code": "None"}, failed]
    assert place.found(place.asked()) == ["there"]
    assert place.found(place.asked("by_ref")) == []


def test_a_transaction_writes_a_hundred_rows(place: Place) -> None:
    names = [f"{n:03}" for n in range(100)]

    place.transact(*(place.row(name) for name in names))

    assert place.found(place.asked()) == names
    assert len(place.get_batch(*names)) == 100


def test_what_a_transaction_cannot_hold_is_refused_and_nothing_is_written(place: Place) -> None:
    ok = place.row("ok")
    transactions = {
        "a hundred and one rows": [place.row(f"{n}") for n in range(101)],
        "the same row twice": [ok, place.row("twice"), place.row("twice", a={"S": "b"})],
        "more than 4 MB": [place.row(f"{n}", body=bytes_of(399 * KB)) for n in range(11)],
        "an empty key": [ok, place.row("")],
        "a key of more than 1,024 bytes": [ok, place.row("s" * 1025)],
        "an empty index key": [ok, place.row("listed", ref={"S": ""}, ref_at=ONE)],
    }

    refused = {why: code(place.transact, *rows) for why, rows in transactions.items()}

    assert refused == dict.fromkeys(transactions, "ValidationException")
    assert place.found(place.asked()) == []


def test_of_a_transaction_with_an_index_key_of_another_type_nothing_is_written(place: Place) -> None:
    refused = refusal(lambda: place.transact(place.row("ok"), place.row("listed", ref=ONE, ref_at=ONE)))

    assert refused["Error"]["Code"] == "TransactionCanceledException"
    assert [reason["Code"] for reason in refused["CancellationReasons"]] == ["None", "ValidationError"]
    assert place.found(place.asked()) == []


def test_of_a_transaction_with_one_row_too_large_nothing_is_written(place: Place) -> None:
    """DynamoDB cancels it for a ValidationError, by its documentation; MiniStack says ValidationException at once."""
    refused = refusal(lambda: place.transact(place.row("ok"), place.row("large", body=bytes_of(MOST_BYTES))))

    reasons = [reason["Code"] for reason in refused.get("CancellationReasons", [])]
    assert (refused["Error"]["Code"], reasons) in [
        ("TransactionCanceledException", ["None", "ValidationError"]),
        ("ValidationException", []),
    ]
    assert place.found(place.asked()) == []


def test_a_batch_reads_a_hundred_rows_once_each_and_no_more(place: Place) -> None:
    assert code(place.get_batch, *(str(n) for n in range(101))) == "ValidationException"
    assert code(place.get_batch, "a", "a") == "ValidationException"


def test_an_empty_request_is_not_even_sent(place: Place) -> None:
    with pytest.raises(ParamValidationError):
        place.get_batch()
    with pytest.raises(ParamValidationError):
        place.client.transact_write_items(TransactItems=[])
    with pytest.raises(ParamValidationError):
        place.client.query(**place.asked(), Limit=0)


# ---------------------------------------------------------------- sizes and keys


def test_a_row_holds_400_kb_names_and_all_and_no_byte_more(place: Place) -> None:
    names = len("pk") + len(place.pk) + len("sk") + len("row") + len("body")

    place.put(place.row("row", body=bytes_of(MOST_BYTES - names)))

    assert len((place.get("row") or {})["body"]["B"]) == MOST_BYTES - names
    large = place.row("row", body=bytes_of(MOST_BYTES - names + 1))
    assert code(place.put, large) == "ValidationException"


def test_text_counts_by_its_bytes(place: Place) -> None:
    large = place.row("row", text={"S": "é" * (MOST_BYTES // 2)})

    assert code(place.put, large) == "ValidationException"


@pytest.mark.parametrize("key", ["s" * 1024, "é" * 512], ids=["letters", "letters of two bytes"])
def test_a_sort_key_holds_1024_bytes_and_no_byte_more(place: Place, key: str) -> None:
    place.put(place.row(key))

    assert place.get(key)
    assert code(place.put, place.row(key + "s")) == "ValidationException"
    assert code(place.get, key + "s") == "ValidationException"


def test_a_partition_key_holds_2048_bytes_and_no_byte_more(place: Place) -> None:
    wide = Place(place.client, place.name, "p" * 2048)
    too_wide = Place(place.client, place.name, "p" * 2049)

    wide.put(wide.row("row"))

    assert wide.get("row")
    assert code(too_wide.put, too_wide.row("row")) == "ValidationException"


def test_a_row_without_good_keys_is_refused(place: Place) -> None:
    rows = {
        "an empty sort key": place.row(""),
        "an empty partition key": place.row("row") | {"pk": {"S": ""}},
        "no sort key": {"pk": {"S": place.pk}},
        "a number as a key": place.row("row") | {"sk": ONE},
        "a number under by_ref": place.row("row", ref=ONE, ref_at=ONE),
        "nothing under by_ref": place.row("row", ref={"S": ""}, ref_at=ONE),
        "text where by_ref orders": place.row("row", ref={"S": place.pk}, ref_at=TEXT),
        "text where by_due orders": place.row("row", due_shard={"S": place.pk}, due_at=TEXT),
    }

    refused = {why: code(place.put, row) for why, row in rows.items()}

    assert refused == dict.fromkeys(rows, "ValidationException")
    assert place.found(place.asked()) == []


@pytest.mark.parametrize(
    "key",
    [{"pk": {"S": "p"}}, {"pk": {"S": "p"}, "sk": {"S": "s"}, "ref": {"S": "r"}}, {"pk": {"S": "p"}, "sk": {"S": ""}}],
)
def test_a_row_is_asked_for_by_its_whole_key_and_nothing_else(place: Place, key: Item) -> None:
    assert code(place.client.get_item, TableName=place.name, Key=key) == "ValidationException"
    assert code(place.client.batch_get_item, RequestItems={place.name: {"Keys": [key]}}) == "ValidationException"


# ---------------------------------------------------------------- queries

NAMES = ["A#1", "A#10", "A#2", "A", "B#1", "A$", "a#1", "A#é", "A#🙂", "A#\ufffd"]
IN_ORDER = sorted(NAMES, key=str.encode)


def test_rows_lie_in_the_order_of_their_keys_bytes(place: Place) -> None:
    place.put(*(place.row(name) for name in NAMES))

    assert place.found(place.asked()) == IN_ORDER
    assert place.found(place.asked(), ScanIndexForward=False) == IN_ORDER[::-1]


def test_rows_are_found_by_how_their_key_begins_and_by_bounds(place: Place) -> None:
    place.put(*(place.row(name) for name in NAMES))
    begun = [name for name in IN_ORDER if name.startswith("A#")]

    assert place.found(place.asked(then=" AND begins_with(sk, :begun)", begun={"S": "A#"})) == begun
    bounds: dict[str, Callable[[str], bool]] = {
        "=": lambda name: name == "A#2",
        "<": lambda name: name.encode() < b"A#2",
        "<=": lambda name: name.encode() <= b"A#2",
        ">": lambda name: name.encode() > b"A#2",
        ">=": lambda name: name.encode() >= b"A#2",
    }
    for how, lies in bounds.items():
        found = place.found(place.asked(then=f" AND sk {how} :bound", bound={"S": "A#2"}))
        assert found == [name for name in IN_ORDER if lies(name)], how


@pytest.mark.parametrize("forward", [True, False], ids=["forwards", "backwards"])
@pytest.mark.parametrize("limit", [1, 2, 3, 4, 7, 100])
def test_pages_hold_as_many_as_asked_and_go_on_where_the_last_ended(place: Place, limit: int, *, forward: bool) -> None:
    names = ["a", "b", "c", "d", "e", "f"]
    place.put(*(place.row(name) for name in names), *(place.row(f"other{name}") for name in names))
    asked = place.asked(then=" AND sk < :end", end={"S": "o"})

    *whole, last = place.pages(asked, Limit=limit, ScanIndexForward=forward)

    assert {len(page) for page in whole} <= {limit}
    assert len(last) < limit, "a page that is full may have another behind it, even an empty one"
    assert [name for page in [*whole, last] for name in page] == (names if forward else names[::-1])


def test_a_page_goes_on_behind_a_row_that_is_gone(place: Place) -> None:
    place.put(*(place.row(name) for name in ("a", "c", "d")))

    assert place.found(place.asked(), ExclusiveStartKey=place.row("b")) == ["c", "d"]


def test_an_answer_holds_1_mb_and_pages_the_rest(place: Place) -> None:
    names = [f"{n}" for n in range(8)]
    place.put(*(place.row(name, body=bytes_of(300 * KB)) for name in names))

    pages = list(place.pages(place.asked(), Limit=100))

    assert max(len(page) for page in pages) <= 4
    assert [name for page in pages for name in page] == names


def test_an_index_lists_by_number_the_rows_that_have_both_its_keys(place: Place) -> None:
    place.put(*(place.listed(at, at) for at in ("10", "9", "2.5", "100", "-1")))
    place.put(place.row("unlisted"), place.row("half listed", ref={"S": place.pk}))

    assert place.found(place.asked("by_ref")) == ["-1", "2.5", "9", "10", "100"]
    assert place.found(place.asked("by_ref"), ScanIndexForward=False) == ["100", "10", "9", "2.5", "-1"]


def test_an_index_shows_the_keys_and_ids_of_a_row_where_it_is_listed_now(place: Place) -> None:
    ids = {"customer_id": {"S": "ada"}, "purchase_id": {"S": "co_1"}}
    place.put(place.listed("row", "1"), place.listed("other", "2"))

    place.put(place.listed("row", "3", more={"S": "not in it"}, **ids))

    found = place.client.query(**place.asked("by_ref"))["Items"]
    assert found == [place.listed("other", "2"), place.listed("row", "3", **ids)]


def test_the_index_of_what_is_due_shows_whose_a_row_is(place: Place) -> None:
    due = place.row("row", due_shard={"S": place.pk}, due_at={"N": "1"}, customer_id={"S": "ada"})

    place.put({**due, "purchase_id": {"S": "co_1"}, "more": {"S": "not in it"}})

    assert place.client.query(**place.asked("by_due"))["Items"] == [due]


@pytest.mark.parametrize("forward", [True, False], ids=["forwards", "backwards"])
def test_pages_of_an_index_miss_nothing_among_rows_of_one_number(place: Place, *, forward: bool) -> None:
    place.put(*(place.listed(f"row {n}", str(n // 3)) for n in range(9)))

    pages = list(place.pages(place.asked("by_ref"), Limit=2, ScanIndexForward=forward))

    assert [len(page) for page in pages] == [2, 2, 2, 2, 1]
    found = [sk for page in pages for sk in page]
    assert len(set(found)) == 9
    numbers = [int(sk.split()[1]) // 3 for sk in found]
    assert numbers == sorted(numbers, reverse=not forward)


def test_a_page_of_an_index_ends_with_the_keys_of_both(place: Place) -> None:
    place.put(place.listed("row", "1", more={"S": "not in it"}))

    answer = place.client.query(**place.asked("by_ref"), Limit=1)

    assert answer["LastEvaluatedKey"] == place.listed("row", "1")


def test_what_is_due_is_found_up_to_its_second(place: Place) -> None:
    rows = [place.row(str(at), due_shard={"S": place.pk}, due_at={"N": str(at)}) for at in (NOW + 1, NOW, NOW - 1)]
    place.put(*rows)

    due = place.asked("by_due", " AND due_at <= :now", now={"N": str(NOW)})

    assert place.found(due, Limit=1) == [str(NOW - 1), str(NOW)]


def test_a_query_that_makes_no_sense_is_refused(place: Place) -> None:
    place.put(place.listed("row", "1"))
    elsewhere = place.row("row", ref={"S": "another"}, ref_at=ONE)
    queries = {
        "an index read consistently": place.asked("by_ref") | {"ConsistentRead": True},
        "an index that is not there": place.asked("by_ref") | {"IndexName": "by_colour"},
        "no partition": place.asked() | {"KeyConditionExpression": "sk = :own", "ExpressionAttributeNames": {}},
        "an attribute that is no key": place.asked(then=" AND colour = :colour", colour={"S": "red"}),
        "a value too many": place.asked(colour={"S": "red"}),
        "a value that is not given": place.asked(then=" AND sk = :missing"),
        "a name that is not given": place.asked() | {"ExpressionAttributeNames": {}},
        "a key of another type": place.asked() | {"ExpressionAttributeValues": {":own": ONE}},
        "an empty key": place.asked() | {"ExpressionAttributeValues": {":own": {"S": ""}}},
        "an empty beginning": place.asked(then=" AND begins_with(sk, :begun)", begun={"S": ""}),
        "how a number begins": place.asked("by_due", " AND begins_with(due_at, :begun)", begun=ONE),
        "a start in another partition": place.asked() | {"ExclusiveStartKey": place.row("row") | {"pk": {"S": "x"}}},
        "a start without the index's keys": place.asked("by_ref") | {"ExclusiveStartKey": place.row("row")},
        "a start elsewhere in the index": place.asked("by_ref") | {"ExclusiveStartKey": elsewhere},
    }
    for query in queries.values():
        if not query["ExpressionAttributeNames"]:
            del query["ExpressionAttributeNames"]

    refused = {why: code(place.client.query, **query) for why, query in queries.items()}

    assert refused == dict.fromkeys(queries, "ValidationException")


def test_another_table_is_not_there(place: Place) -> None:
    elsewhere = Place(place.client, "elsewhere")
    calls: list[Callable[[], Any]] = [
        lambda: elsewhere.put(elsewhere.row("row")),
        lambda: elsewhere.get("row"),
        lambda: elsewhere.get_batch("row"),
        lambda: elsewhere.transact(elsewhere.row("row")),
        lambda: elsewhere.found(elsewhere.asked()),
    ]

    assert {code(call) for call in calls} == {"ResourceNotFoundException"}


# ---------------------------------------------------------------- paidup's own table


def commit(table: Table, before: Account) -> Account:
    return table.commit(ChangeSet(snapshot=Snapshot(account=before), policy=Policy(), now=NOW))


def test_of_two_writers_who_read_the_same_version_one_is_told_that_it_lost(place: Place) -> None:
    customer_id = place.pk
    new = place.table.account(customer_id)
    first = commit(place.table, new)
    second = commit(place.table, first)

    with pytest.raises(LostRace):
        commit(place.table, new)
    with pytest.raises(LostRace):
        commit(place.table, first)

    assert (new.version, first.version, second.version) == (0, 1, 2)
    assert place.table.account(customer_id) == second


def test_every_offer_is_listed_by_its_id_page_after_page(place: Place) -> None:
    sold = [
        Offer(offer_id=f"{place.pk}-{n:03}", name="Ten classes", kind=Kind.PASS, amount=n + 100, currency="eur")
        for n in range(120)
    ]
    for offer in reversed(sold):
        place.table.put_offer(offer)

    offers = [offer for offer in place.table.offers() if offer.offer_id.startswith(f"{place.pk}-")]

    assert offers == sold
    assert place.table.offer(sold[7].offer_id) == sold[7]


# ---------------------------------------------------------------- what the table in memory has to itself


SPENT: list[tuple[str, Callable[[Place], Any], float]] = [
    ("a write of each kilobyte begun", lambda p: p.put(p.row("new", body=bytes_of(2 * KB))), 3),
    ("a write with text of two bytes a letter", lambda p: p.put(p.row("new", t={"S": "é" * KB})), 3),
    ("a transaction twice as much", lambda p: p.transact(p.row("new", body=bytes_of(KB)), p.row("small")), 6),
    ("a read of each 4 kilobytes begun", lambda p: p.get("large"), 3),
    ("a read of what is not there", lambda p: p.get("absent"), 1),
    ("a batch each row by itself", lambda p: p.get_batch("small", "large", "absent"), 5),
    ("a query all of its rows together", lambda p: p.found(p.asked()), 3),
    ("a query half of it unless it is consistent", lambda p: p.found(p.asked() | {"ConsistentRead": False}), 1.5),
    ("a query each of its pages", lambda p: p.found(p.asked(), Limit=2), 4),
    ("a query that finds nothing", lambda p: p.found(p.asked(then=" AND sk < :first", first={"S": "a"})), 1),
]


@pytest.mark.parametrize(
    ("call", "units"), [(call, units) for _, call, units in SPENT], ids=[what for what, _, _ in SPENT]
)
def test_a_call_consumes_what_amazon_says_of(call: Callable[[Place], Any], units: float) -> None:
    """MiniStack counts reads without their sizes."""
    place = Place(MemoryTable(), "paidup")
    place.put(place.row("large", body=bytes_of(9 * KB)), place.row("small"), place.row("smallest"))
    place.client.consumed = 0.0

    call(place)

    assert place.client.consumed == units


def test_a_transaction_refuses_a_row_without_its_key() -> None:
    """As a single write does; MiniStack writes it."""
    place = Place(MemoryTable(), "paidup")

    assert code(place.transact, place.row("ok"), {"pk": {"S": place.pk}}) == "ValidationException"
    assert place.get("ok") is None


def test_a_batch_answers_16_mb_and_leaves_the_other_keys() -> None:
    """By DynamoDB's documentation; MiniStack answers everything at once."""
    place = Place(MemoryTable(), "paidup")
    names = [f"{n:02}" for n in range(60)]
    place.put(*(place.row(name, body=bytes_of(390 * KB)) for name in names))
    left: Item = {"paidup": {"Keys": [place.row(name) for name in names], "ConsistentRead": True}}
    answers = []

    while left:
        answer = place.client.batch_get_item(RequestItems=left)
        answers.append([row["sk"]["S"] for row in answer["Responses"]["paidup"]])
        left = answer["UnprocessedKeys"]

    assert [len(found) for found in answers] == [42, 18]
    assert sorted(name for found in answers for name in found) == names


def test_what_the_table_in_memory_does_not_know_is_an_error_and_not_passed_over() -> None:
    place = Place(MemoryTable(), "paidup")
    guarded = {"TableName": "paidup", "Key": place.row("row"), "ConditionExpression": items.NOT_THERE_YET}
    calls: list[Callable[[], Any]] = [
        lambda: place.put(place.row("row"), ConditionExpression="NOT attribute_exists(pk)"),
        lambda: place.put(place.row("row"), ConditionExpression="(attribute_exists(pk))"),
        lambda: place.put(place.row("row"), ConditionExpression="contains(pk, sk)"),
        lambda: place.put(place.row("row"), ReturnValues="ALL_OLD"),
        lambda: place.put(place.row("row", tags={"SS": ["a"]})),
        lambda: place.client.transact_write_items(TransactItems=[{"Delete": guarded}]),
        lambda: place.client.transact_write_items(TransactItems=[{"Update": guarded}]),
    ]

    for call in calls:
        with pytest.raises(NotImplementedError):
            call()

    assert place.get("row") is None


def test_an_index_takes_no_key_of_more_than_2048_bytes() -> None:
    """By DynamoDB's documentation; MiniStack takes it."""
    place = Place(MemoryTable(), "paidup")

    assert code(place.put, place.row("row", ref={"S": "r" * 2049}, ref_at=ONE)) == "ValidationException"
