"""The account that the API key belongs to, and what Stripe lets accounts of its country do."""

from typing import Any

from tools.fakes.store import Obj
from tools.fakes.stripe import currencies
from tools.fakes.stripe.operation import Operation
from tools.fakes.stripe.wire import no_such
from tools.fakes.stripe.world import World

COUNTRY = "DE"
NOT_IN_COUNTRY = frozenset(("rub",))


def _account(world: World, _: dict[str, Any]) -> Obj:  # noqa: ARG001 - there is one account
    return {
        "id": "acct_1PaidupStandIn00",
        "object": "account",
        "charges_enabled": True,
        "country": COUNTRY,
        "default_currency": "eur",
        "details_submitted": True,
        "payouts_enabled": True,
        "type": "standard",
    }


def _country_spec(world: World, _: dict[str, Any], id_: str) -> Obj:  # noqa: ARG001 - the same in every world
    if id_ != COUNTRY:
        raise no_such("country_spec", id_, "country")
    fields: Obj = {"additional": [], "minimum": []}
    return {
        "id": COUNTRY,
        "object": "country_spec",
        "default_currency": "eur",
        "supported_bank_account_currencies": {"eur": [COUNTRY]},
        "supported_payment_currencies": [one for one in currencies.SUPPORTED if one not in NOT_IN_COUNTRY],
        "supported_payment_methods": ["card", "stripe"],
        "supported_transfer_countries": [COUNTRY],
        "verification_fields": {"company": fields, "individual": fields},
    }


OPERATIONS = (
    Operation("GET", "/v1/account", "_account_retrieve_current_params", _account),
    Operation("GET", "/v1/country_specs/{}", "_country_spec_retrieve_params", _country_spec),
)
