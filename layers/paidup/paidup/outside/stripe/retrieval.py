"""Fetching any object of Stripe by its id: the prefix says of which sort it is."""

from collections.abc import Callable
from typing import Any

import stripe

PREFIXES = frozenset({"cs", "sub", "in", "pi", "ch", "py", "du", "dp", "re", "pyr"})
SESSION_WHOLE = ["payment_intent.latest_charge", "subscription", "invoice"]


def retrieve(api: stripe.StripeClient, object_id: str) -> Any:
    """Return the object *object_id* as Stripe has it now. Raises KeyError for a sort that moves no money or access."""
    return _by_prefix(api)[object_id.partition("_")[0]](object_id)


def is_known(object_id: str) -> bool:
    """Whether *object_id* looks like an id of a sort that can be retrieved."""
    prefix, _, rest = object_id.partition("_")
    return prefix in PREFIXES and rest.isascii() and rest.replace("_", "").isalnum()


def _by_prefix(api: stripe.StripeClient) -> dict[str, Callable[[str], Any]]:
    v1 = api.v1
    return {
        "cs": lambda a: v1.checkout.sessions.retrieve(a, {"expand": SESSION_WHOLE}),
        "sub": lambda a: v1.subscriptions.retrieve(a, {"expand": ["latest_invoice"]}),
        "in": v1.invoices.retrieve,
        "pi": lambda a: v1.payment_intents.retrieve(a, {"expand": ["latest_charge"]}),
        "ch": v1.charges.retrieve,
        "py": v1.charges.retrieve,
        "du": v1.disputes.retrieve,
        "dp": v1.disputes.retrieve,
        "re": v1.refunds.retrieve,
        "pyr": v1.refunds.retrieve,
    }
