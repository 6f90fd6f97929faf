"""What a checkout session may be opened for: its line items, amounts, times and addresses."""

from typing import Any
from urllib.parse import urlsplit

from tools.fakes.store import Obj, new_id
from tools.fakes.stripe import catalog, choices
from tools.fakes.stripe.objects import made
from tools.fakes.stripe.operation import merged_metadata
from tools.fakes.stripe.wire import Refusal, missing
from tools.fakes.stripe.world import World

SHORTEST_S, LONGEST_S = 30 * 60, 24 * 3600
MAX_LINE_ITEMS, MAX_QUANTITY, MAX_REFERENCE = 100, 999_999, 200
METHODS = ("card", "sepa_debit")


def line(world: World, asked: dict[str, Any], at: str) -> Obj:
    """Return the line item *asked* for. *at* names its place in the params."""
    quantity = asked.get("quantity")
    if quantity is None:
        raise missing(f"{at}[quantity]")
    if not 1 <= quantity <= MAX_QUANTITY:
        low = "This value must be greater than or equal to 1."
        message = low if quantity < 1 else f"This value must be less than or equal to {MAX_QUANTITY}."
        raise Refusal(message, code="parameter_invalid_integer", param=f"{at}[quantity]")
    price = catalog.price_of(world, asked, at)
    product = world.store.need(price["product"])
    limits = choices.adjustable(asked, at)
    return made(
        "item",
        id=new_id("li_1", 23),
        object="item",
        **{"adjustable_quantity": limits} if limits else {},
        currency=price["currency"],
        description=product["name"],
        metadata=merged_metadata({}, asked.get("metadata")),
        price=price,
        quantity=quantity,
    )


def check_lines(lines: list[Obj], mode: str) -> None:
    """Refuse *lines* that do not go together, or not with the *mode*."""
    recurring = [line for line in lines if line["price"]["recurring"]]
    if mode == "payment" and recurring:
        message = (
            "You specified `payment` mode but passed a recurring price. Either switch to `subscription` mode or use "
        )
        raise Refusal(f"{message}only one-time prices.", param="line_items")
    if mode == "subscription" and not recurring:
        message = "You must provide at least one recurring price in `subscription` mode when using prices."
        raise Refusal(message, param="mode")
    if len(recurring) != len(lines) and recurring:
        message = "The stand-in does not model one-time prices beside recurring ones; real Stripe does."
        raise Refusal(message, code="not_modelled_by_stand_in", param="line_items")
    if len({line["currency"] for line in lines}) > 1:
        raise Refusal("All line items must have the same currency.", param="line_items")
    cycles = {(ln["price"]["recurring"]["interval"], ln["price"]["recurring"]["interval_count"]) for ln in recurring}
    if len(cycles) > 1:
        message = "Checkout does not support multiple prices with different billing intervals."
        raise Refusal(message, param="line_items")


def check(params: dict[str, Any], mode: str, now: int) -> None:
    """Refuse *params* of a session that make no sense together at the second *now*."""
    if mode == "setup" or params.get("ui_mode", "hosted_page") != "hosted_page":
        message = "The stand-in models hosted pages in the modes `payment` and `subscription` alone; Stripe has more."
        raise Refusal(message, code="not_modelled_by_stand_in", param="mode" if mode == "setup" else "ui_mode")
    if params.get("payment_intent_data", {}).get("capture_method") == "manual":
        message = "The stand-in does not model manual capture; real Stripe does."
        raise Refusal(message, code="not_modelled_by_stand_in", param="payment_intent_data[capture_method]")
    if not params.get("line_items"):
        raise missing("line_items")
    if len(params["line_items"]) > MAX_LINE_ITEMS:
        raise Refusal(f"You can only pass up to {MAX_LINE_ITEMS} line items.", param="line_items")
    if "success_url" not in params:
        raise missing("success_url")
    for name in ("success_url", "cancel_url"):
        if name in params and not _is_url(params[name]):
            raise Refusal("Not a valid URL", code="url_invalid", param=name)
    if not methods(params):
        raise Refusal("No payment method is left that the stand-in models.", param="allowed_payment_method_types")
    other = "subscription_data" if mode == "payment" else "payment_intent_data"
    if other in params:
        raise Refusal(f"You can not pass `{other}` in `{mode}` mode.", param=other)
    if "customer" in params and "customer_email" in params:
        message = "You may only specify one of these parameters: customer, customer_email."
        raise Refusal(message, param="customer")
    if mode == "subscription" and "customer_creation" in params:
        raise Refusal("`customer_creation` can only be used in `payment` mode.", param="customer_creation")
    if len(params.get("client_reference_id", "")) > MAX_REFERENCE:
        message = f"Invalid string: must be at most {MAX_REFERENCE} characters"
        raise Refusal(message, code="parameter_invalid_string", param="client_reference_id")
    life = params.get("expires_at", now + LONGEST_S) - now
    if life < SHORTEST_S:
        message = "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation."
        raise Refusal(message, param="expires_at")
    if life > LONGEST_S:
        message = "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation."
        raise Refusal(message, param="expires_at")


def methods(params: dict[str, Any]) -> list[str]:
    """Return the kinds of payment methods that *params* leave the buyer."""
    allowed = params.get("allowed_payment_method_types", METHODS)
    excluded = params.get("excluded_payment_method_types", [])
    return [method for method in METHODS if method in allowed and method not in excluded]


def _is_url(text: str) -> bool:
    parts = urlsplit(text)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and " " not in text and len(text) <= 5000
