"""What a purchase's registers say, in words."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from paidup.model.fact import Dispute, Invoice, Payment, Refund, Subscription, Value
from paidup.model.money import shown
from paidup.model.purchase import Purchase


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterView:
    """What the provider `says` of one register since `at` (its epoch second).

    `channel` reported it first, at `heard_at` (our epoch second). `fetched`: it was asked for.
    """

    register: str
    says: str
    at: int
    fetched: bool
    channel: str | None = None
    heard_at: int | None = None


def registers_of(purchase: Purchase) -> Iterator[RegisterView]:
    """Yield what each register of *purchase* says, the newest first."""
    for name, entry in sorted(purchase.registers.items(), key=lambda one: (-one[1].at, one[0])):
        heard = purchase.channels.get(name)
        yield RegisterView(
            register=name,
            says=words_of(entry.value),
            at=entry.at,
            fetched=entry.fetched,
            channel=heard.channel if heard else None,
            heard_at=heard.at if heard else None,
        )


def words_of(value: Value) -> str:
    """Return *value* as a clause for people."""
    match value:
        case Payment():
            return f"{value.status}, {shown(value.amount, value.currency)}"
        case Subscription():
            return ", ".join(_of_plan(value))
        case Invoice():
            return f"{value.status}, {shown(value.amount, value.currency)}, made on {_day(value.made_at)}"
        case Refund():
            return f"{shown(value.refunded, value.currency)} of {shown(value.amount, value.currency)} went back"
        case Dispute():
            return f"{value.status}, about {shown(value.amount, value.currency)}"


def _of_plan(plan: Subscription) -> Iterator[str]:
    yield plan.status
    yield " + ".join(f"{item.quantity} of {item.offer_id or item.price}" for item in plan.items)
    yield f"{shown(plan.amount, plan.currency)} until {_day(plan.period_end)}"
    if plan.cancel_at:
        yield f"cancels on {_day(plan.cancel_at)}"
    if plan.paused:
        yield "collection paused"
    if plan.ended_at:
        yield f"ended on {_day(plan.ended_at)}"


def _day(epoch: int) -> str:
    return datetime.fromtimestamp(epoch, UTC).date().isoformat()
