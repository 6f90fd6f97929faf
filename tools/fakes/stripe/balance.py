"""The balance: what came in, what it cost, what went out again."""

from typing import Any

from tools.fakes.store import Obj
from tools.fakes.stripe import views
from tools.fakes.stripe.operation import Operation
from tools.fakes.stripe.world import World

FEE_PERCENT, FEE_FIXED = 0.029, 30


def move(world: World, amount: int, currency: str, type_: str, source: str) -> Obj:
    """Write the balance transaction of *amount* (negative: money leaves) and return it."""
    fee = round(amount * FEE_PERCENT) + FEE_FIXED if type_ == "charge" else 0
    details = {"amount": fee, "application": None, "currency": currency, "description": "Stripe processing fees"}
    return world.make(
        "balance_transaction",
        "txn_3",
        amount=amount,
        available_on=world.now() + 7 * 86_400,
        currency=currency,
        fee=fee,
        fee_details=[details | {"type": "stripe_fee"}] if fee else [],
        net=amount - fee,
        reporting_category="dispute" if type_ == "adjustment" else type_,
        source=source,
        type=type_,
    )


def _list_transactions(world: World, params: dict[str, Any]) -> Obj:
    equal = {name: params.get(name) for name in ("source", "type", "currency")}
    return views.page(world, "balance_transaction", params, "/v1/balance_transactions", equal=equal)


OPERATIONS = (
    Operation("GET", "/v1/balance_transactions", "_balance_transaction_list_params", _list_transactions),
    Operation(
        "GET",
        "/v1/balance_transactions/{}",
        "_balance_transaction_retrieve_params",
        views.retrieve("balance_transaction"),
    ),
)
