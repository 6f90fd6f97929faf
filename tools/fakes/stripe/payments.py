"""Payment intents and charges: how money is taken, now or later, or not at all."""

from typing import Any

from tools.fakes.store import Obj, new_id
from tools.fakes.stripe import balance, cards, views
from tools.fakes.stripe.cards import Card
from tools.fakes.stripe.objects import made
from tools.fakes.stripe.operation import Operation, merged_metadata
from tools.fakes.stripe.world import World

DELAYED_AFTER_S = DISPUTED_AFTER_S = 3


def make_intent(world: World, amount: int, currency: str, **fields: Any) -> Obj:
    """Make a payment intent of *amount* minor units that waits for a payment method."""
    intent = world.draft("payment_intent", "pi_3", amount=amount, currency=currency, **fields)
    intent["client_secret"] = f"{intent['id']}_secret_{new_id('', 25)}"
    world.store.put(intent)
    world.emit("payment_intent.created", intent)
    return intent


def attempt(
    world: World,
    intent: Obj,
    method: Obj,
    card: Card | None,
    *,
    buyer_is_there: bool,
    authenticated: bool = False,
) -> Obj:
    """Try to pay *intent* with a *card*: it succeeds, is declined, or asks the buyer to authenticate."""
    if card is None or card.asks == "always" or (card.asks == "once" and buyer_is_there):
        if card is not None and not authenticated:
            return ask(world, intent, method) if buyer_is_there else _ask_later(world, intent, method)
    elif code := card.declined or (card.later if not buyer_is_there else None):
        return decline(world, intent, method, code)
    return succeed(world, intent, method)


def succeed(world: World, intent: Obj, method: Obj) -> Obj:
    """Let *intent* be paid with *method*. A pending charge is settled, or else a charge is made."""
    charge = world.store.get(intent["latest_charge"])
    if charge is None or charge["status"] != "pending":
        charge = _charge(world, intent, method)
    transaction = balance.move(world, charge["amount"], charge["currency"], "charge", charge["id"])
    charge |= {"status": "succeeded", "paid": True, "captured": True, "amount_captured": charge["amount"]}
    charge |= {"balance_transaction": transaction["id"], "outcome": _outcome("approved_by_network", None)}
    world.store.put(charge)
    world.emit("charge.succeeded", charge)
    world.change(
        intent,
        amount_received=intent["amount"],
        last_payment_error=None,
        latest_charge=charge["id"],
        next_action=None,
        payment_method=method["id"],
        status="succeeded",
    )
    world.emit("payment_intent.succeeded", intent)
    card = cards.of(method)
    if card and card.disputed:
        world.store.schedule(world.now() + DISPUTED_AFTER_S, "charge.dispute", charge["id"])
    return intent


def decline(world: World, intent: Obj, method: Obj, why: str) -> Obj:
    """Let the attempt fail: *intent* waits for another payment method."""
    code, message = cards.MESSAGES[why]
    charge = world.store.get(intent["latest_charge"])
    if charge is None or charge["status"] != "pending":
        charge = _charge(world, intent, method)
    charge |= {"status": "failed", "failure_code": code, "failure_message": message}
    charge |= {"outcome": _outcome("declined_by_network", why)}
    world.store.put(charge)
    world.emit("charge.failed", charge)
    type_ = "card_error" if method["type"] == "card" else "invalid_request_error"
    error = {"charge": charge["id"], "code": code, "message": message, "payment_method": method, "type": type_}
    if type_ == "card_error":
        error["decline_code"] = why
    status = "requires_payment_method"
    fields = {"last_payment_error": error, "latest_charge": charge["id"], "next_action": None, "status": status}
    world.change(intent, **fields, payment_method=None)
    world.emit("payment_intent.payment_failed", intent)
    return intent


def ask(world: World, intent: Obj, method: Obj) -> Obj:
    """Let *intent* wait until the buyer has authenticated."""
    step = {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect"}}
    world.change(intent, next_action=step, payment_method=method["id"], status="requires_action")
    world.emit("payment_intent.requires_action", intent)
    return intent


def process(world: World, intent: Obj, method: Obj, outcome: str) -> Obj:
    """Let a delayed *method* take its time. *outcome* says how it will end."""
    charge = _charge(world, intent, method)
    world.emit("charge.pending", charge)
    world.change(intent, latest_charge=charge["id"], payment_method=method["id"], status="processing")
    world.emit("payment_intent.processing", intent)
    world.store.note(intent["id"], "outcome", outcome)
    world.store.schedule(world.now() + delay(world), "payment.end", intent["id"])
    return intent


def delay(world: World) -> int:
    """Return how many seconds a delayed payment takes."""
    seconds: int = world.store.noted("settings", "delayed_after_s", DELAYED_AFTER_S)
    return seconds


def cancel_intent(world: World, intent: Obj, reason: str) -> None:
    """Cancel *intent*, unless it is paid or cancelled."""
    if intent["status"] not in ("succeeded", "canceled", "processing"):
        world.change(intent, canceled_at=world.now(), cancellation_reason=reason, status="canceled")
        world.emit("payment_intent.canceled", intent)


def _ask_later(world: World, intent: Obj, method: Obj) -> Obj:
    decline(world, intent, method, "authentication_required")
    return ask(world, intent, method)


def _charge(world: World, intent: Obj, method: Obj) -> Obj:
    return world.make(
        "charge",
        "ch_3",
        amount=intent["amount"],
        billing_details=method["billing_details"],
        currency=intent["currency"],
        customer=intent["customer"],
        description=intent["description"],
        metadata=dict(intent["metadata"]),
        payment_intent=intent["id"],
        payment_method=method["id"],
        payment_method_details=_method_details(method, intent["amount"]),
        receipt_email=intent["receipt_email"],
    )


def _method_details(method: Obj, amount: int) -> Obj:
    details = method[method["type"]]
    if method["type"] != "card":
        shown = {k: v for k, v in details.items() if k != "generated_from"}
        return {"sepa_debit": shown | {"expected_debit_date": None, "mandate": None}, "type": "sepa_debit"}
    names = ("brand", "checks", "country", "exp_month", "exp_year", "fingerprint", "funding", "last4")
    card = {name: details[name] for name in names}
    shown = made("charge.card", amount_authorized=amount, network=details["brand"], **card)
    return {"card": shown, "type": "card"}


def _outcome(status: str, reason: str | None) -> Obj:
    approved = reason is None
    message = "Payment complete." if approved else "The bank did not return any further details."
    type_ = "authorized" if approved else "issuer_declined"
    return made("charge.outcome", network_status=status, reason=reason, seller_message=message, type=type_)


def _list_charges(world: World, params: dict[str, Any]) -> Obj:
    equal = {name: params.get(name) for name in ("customer", "payment_intent", "transfer_group")}
    return views.page(world, "charge", params, "/v1/charges", equal=equal)


def _list_intents(world: World, params: dict[str, Any]) -> Obj:
    return views.page(
        world, "payment_intent", params, "/v1/payment_intents", equal={"customer": params.get("customer")}
    )


def _update_charge(world: World, params: dict[str, Any], id_: str) -> Obj:
    return _described(world, world.named(id_, "charge"), params, "charge.updated")


def _update_intent(world: World, params: dict[str, Any], id_: str) -> Obj:
    return _described(world, world.named(id_, "payment_intent"), params, None)


def _described(world: World, thing: Obj, params: dict[str, Any], event: str | None) -> Obj:
    """Change what a merchant writes on a charge or a payment intent."""
    fields = {name: params[name] or None for name in ("description", "receipt_email") if name in params}
    metadata = merged_metadata(thing["metadata"], params.get("metadata"))
    return world.change(thing, event, **fields, metadata=metadata)


CHARGE_BEYOND = ("customer", "fraud_details", "shipping", "transfer_group")
INTENT_BEYOND = (
    "allowed_payment_method_types",
    "amount",
    "amount_details",
    "application_fee_amount",
    "capture_method",
    "currency",
    "customer",
    "customer_account",
    "excluded_payment_method_types",
    "hooks",
    "payment_details",
    "payment_method",
    "payment_method_configuration",
    "payment_method_data",
    "payment_method_options",
    "setup_future_usage",
    "shipping",
    "statement_descriptor",
    "statement_descriptor_suffix",
    "transfer_data",
    "transfer_group",
)
OPERATIONS = (
    Operation("POST", "/v1/payment_intents/{}", "_payment_intent_update_params", _update_intent, INTENT_BEYOND),
    Operation("POST", "/v1/charges/{}", "_charge_update_params", _update_charge, CHARGE_BEYOND),
    Operation("GET", "/v1/payment_intents", "_payment_intent_list_params", _list_intents),
    Operation("GET", "/v1/payment_intents/{}", "_payment_intent_retrieve_params", views.retrieve("payment_intent")),
    Operation("GET", "/v1/charges", "_charge_list_params", _list_charges),
    Operation("GET", "/v1/charges/{}", "_charge_retrieve_params", views.retrieve("charge")),
)
