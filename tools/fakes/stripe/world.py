"""Stripe's part of the world: its objects, and the events that every change of them makes."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tools.fakes import world
from tools.fakes.store import Obj, new_id
from tools.fakes.stripe import sdk
from tools.fakes.stripe.objects import made
from tools.fakes.stripe.wire import Refusal, no_such

REFERENCES = (
    "customer",
    "payment_intent",
    "charge",
    "subscription",
    "invoice",
    "type",
    "parent.subscription_details.subscription",
    "payment.payment_intent",
)
MOST_SECONDS = 200_000


@dataclass(kw_only=True)
class World(world.World):
    """The world with what belongs to the one Stripe account: its key, and the request under way.

    `seen_as` is where that request found the stand-ins. `requests` counts the requests to the API since the start, by
    operation. `asked` counts those of the latest seconds, by second and by the application that made them.
    """

    api_key: str
    seen_as: str = ""
    request_id: str | None = None
    idempotency_key: str | None = None
    requests: Counter[str] = field(default_factory=Counter)
    asked: Counter[tuple[int, str]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        """Find objects by what they refer to."""
        self.store.index(*REFERENCES)

    def count(self, application: str) -> None:
        """Count a request that *application* makes in this second. What is long past is forgotten."""
        self.asked[self.now(), application] += 1
        if len(self.asked) > MOST_SECONDS:
            del self.asked[next(iter(self.asked))]

    def draft(self, kind: str, prefix: str, length: int = 23, /, **fields: Any) -> Obj:
        """Return a new object of *kind* that is not written yet."""
        head = {"id": new_id(prefix, length), "object": kind, "created": self.now()}
        return head | made(kind, **fields)

    def make(self, kind: str, prefix: str, length: int = 23, /, **fields: Any) -> Obj:
        """Write a new object of *kind* and return it."""
        return self.store.put(self.draft(kind, prefix, length, **fields))

    def emit(self, type_: str, obj: Obj, previous: dict[str, Any] | None = None) -> Obj | None:
        """Make the event *type_* about *obj* and queue it for every endpoint that wants it."""
        if self.faults.strikes("stripe", self.faults.lose):
            return None
        data: dict[str, Any] = {"object": obj}
        if previous is not None:
            data["previous_attributes"] = previous
        event = self.make(
            "event",
            "evt_1",
            api_version=sdk.api_version(),
            data=data,
            request={"id": self.request_id, "idempotency_key": self.idempotency_key},
            type=type_,
        )
        for endpoint in self.store.by("webhook_endpoint", status="enabled"):
            if {"*", type_} & set(endpoint["enabled_events"]):
                self._queue(event, endpoint)
        return event

    def change(self, obj: Obj, event: str | None = None, **fields: Any) -> Obj:
        """Write new *fields* of *obj*. If something changed, make *event* with what was before."""
        previous = {name: obj.get(name) for name, value in fields.items() if obj.get(name) != value}
        obj.update(fields)
        self.store.put(obj)
        if event and previous:
            self.emit(event, obj, previous)
        return obj

    def named(self, id_: str | None, kind: str, param: str = "id", *, deleted: bool = False) -> Obj:
        """Return the object that a request names in its path (*param* `id`) or in a parameter."""
        obj = self.store.get(id_, kind)
        if obj is None or (obj.get("deleted") and not deleted):
            what = kind.rpartition(".")[2].replace("_", "" if kind == "payment_intent" else " ")
            shown = kind if kind in ("payment_intent", "checkout.session") else what
            raise no_such(shown, str(id_), param, status=404 if param == "id" else 400)
        return obj

    def conflict(self, message: str, *, code: str | None = None, param: str | None = None) -> Refusal:
        """Return the refusal of a change that the object's state does not allow."""
        return Refusal(message, code=code, param=param, began=True)

    def _queue(self, event: Obj, endpoint: Obj) -> None:
        wait = self.faults.delivery_delay()
        self.store.db.execute(
            "INSERT INTO deliveries (event, endpoint, next_at) VALUES (?, ?, ?)",
            (event["id"], endpoint["id"], self.clock.exact() + wait),
        )
