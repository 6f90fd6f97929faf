"""What support reads of the table: lists that are bounded, and when billing tokens were issued."""

from dataclasses import dataclass
from typing import Any

from paidup.model.case import ReviewCase
from paidup.model.event import EventRecord
from paidup.model.timeline import TimelineEntry
from paidup.outside.dynamo import items
from paidup.outside.dynamo.client import TableClient


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskTable(TableClient):
    """The table, as support reads it."""

    def failed_events(self) -> list[EventRecord]:
        """Return every failed event that is not settled yet, the oldest first."""
        return [
            items.read_item(EventRecord, item) for item in self._whole(self._pages(self._asked_by_ref(items.FAILED)))
        ]

    def open_cases(self) -> list[ReviewCase]:
        """Return every review case that waits for a decision, the oldest first."""
        return [
            items.read_item(ReviewCase, item) for item in self._whole(self._pages(self._asked_by_ref(items.OPEN_CASES)))
        ]

    def failed_before(self, before: int, *, most: int) -> list[EventRecord]:
        """Return up to *most* events that failed before *before* (epoch seconds), the longest failed first."""
        return [items.read_item(EventRecord, item) for item in self._listed(items.FAILED, before, most)]

    def cases_before(self, before: int, *, most: int) -> list[ReviewCase]:
        """Return up to *most* open cases that were opened before *before* (epoch seconds), the oldest first."""
        return [items.read_item(ReviewCase, item) for item in self._listed(items.OPEN_CASES, before, most)]

    def note_token(self, entry: TimelineEntry) -> None:
        """Write when the first billing token of a version was issued. It is written once, and guards nothing."""
        try:
            self.client.put_item(
                TableName=self.name,
                Item=items.first_token_item(entry),
                ConditionExpression=items.NOT_THERE_YET,
            )
        except self.client.exceptions.ConditionalCheckFailedException:
            return

    def first_tokens(self, customer_id: str, *, most: int) -> list[TimelineEntry]:
        """Return when the first billing token of each of the newest *most* versions was issued, newest first."""
        found = self._items_under(items.first_tokens_pk(customer_id), "", most)
        return [items.read_item(TimelineEntry, item) for item in found]

    def _listed(self, ref: str, before: int, most: int) -> list[Any]:
        """Return the items that are listed under *ref* with a time before *before*. The index may lag."""
        asked = self._asked_by_ref(ref, Limit=most)
        asked["KeyConditionExpression"] += " AND ref_at < :before"
        asked["ExpressionAttributeValues"] |= items.serialize({":before": before})
        return self._whole(self.client.query(**asked)["Items"])
