"""Payment intents, charges and refunds: how money moves, and back."""

from typing import Any

from tools.standins import cards, views
from tools.standins.cards import Card
from tools.standins.operation import Operation, merged_metadata
from tools.standins.store import Obj, new_id
from tools.standins.wire import Refusal, missing
from tools.standins.world import World

FEE_PERCENT, FEE_FIXED = 0.029, 30
DELAYED_AFTER_S = 3
REFUND_AFTER_S = 5


def make_intent(world: World, amount: int, currency: str, **fields: Any) -> Obj:
    """Make a payment intent of *amount* minor units that waits for a payment method."""
    intent = world.make(
        "payment_intent",
        "pi_3",
        23,
        **{
            "amount": amount,
            "amount_capturable": 0,
            "amount_details": {"tip": {}},
            "amount_received": 0,
            "application": None,
            "application_fee_amount": None,
            "automatic_payment_methods": None,
            "canceled_at": None,
            "cancellation_reason": None,
            "capture_method": "automatic_async",
            "confirmation_method": "automatic",
            "currency": currency,
            "customer": None,
            "customer_account": None,
            "description": None,
            "last_payment_error": None,
            "latest_charge": None,
            "metadata": {},
            "next_action": None,
            "on_behalf_of": None,
            "payment_method": None,
            "payment_method_configuration_details": None,
            "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
            "payment_method_types": ["card"],
            "payment_record": None,
            "processing": None,
            "receipt_email": None,
            "review": None,
            "setup_future_usage": None,
            "shipping": None,
            "source": None,
            "statement_descriptor": None,
            "statement_descriptor_suffix": None,
            "status": "requires_payment_method",
            "transfer_data": None,
            "transfer_group": None,
        }
        | fields,
    )
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
    """Let *intent* be paid with *method*; a charge that was pending is settled, else one is made."""
    charge = world.store.get(intent["latest_charge"])
    if charge is None or charge["status"] != "pending":
        charge = _charge(world, intent, method)
    transaction = move_money(world, charge["amount"], charge["currency"], "charge", charge["id"])
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
        world.store.schedule(world.now() + DELAYED_AFTER_S, "charge.dispute", charge["id"])
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
    """Let a delayed *method* take its time; *outcome* says how it will end."""
    charge = _charge(world, intent, method)
    world.emit("charge.pending", charge)
    world.change(intent, latest_charge=charge["id"], payment_method=method["id"], status="processing")
    world.emit("payment_intent.processing", intent)
    world.store.note(intent["id"], "outcome", outcome)
    world.store.schedule(world.now() + DELAYED_AFTER_S, "payment.end", intent["id"])
    return intent


def cancel_intent(world: World, intent: Obj, reason: str) -> None:
    """Cancel *intent*, unless it is paid or cancelled."""
    if intent["status"] not in ("succeeded", "canceled", "processing"):
        world.change(intent, canceled_at=world.now(), cancellation_reason=reason, status="canceled")
        world.emit("payment_intent.canceled", intent)


def move_money(world: World, amount: int, currency: str, type_: str, source: str) -> Obj:
    """Write the balance transaction of *amount* (negative: money leaves) and return it."""
    fee = round(amount * FEE_PERCENT) + FEE_FIXED if type_ == "charge" else 0
    details = {"amount": fee, "application": None, "currency": currency, "description": "Stripe processing fees"}
    now = world.now()
    return world.store.put(
        {
            "id": new_id("txn_3", 23),
            "object": "balance_transaction",
            "amount": amount,
            "available_on": now + 7 * 86_400,
            "balance_type": "payments",
            "created": now,
            "currency": currency,
            "description": None,
            "exchange_rate": None,
            "fee": fee,
            "fee_details": [details | {"type": "stripe_fee"}] if fee else [],
            "net": amount - fee,
            "reporting_category": "dispute" if type_ == "adjustment" else type_,
            "source": source,
            "status": "pending",
            "type": type_,
        }
    )


def create_refund(world: World, params: dict[str, Any]) -> Obj:
    """Refund a charge, whole or in part."""
    charge = _charge_to_refund(world, params)
    left = charge["amount"] - charge["amount_refunded"]
    disputes = world.store.by("dispute", charge=charge["id"])
    if any(not d["is_charge_refundable"] and d["status"] != "won" for d in disputes):
        message = f"Charge {charge['id']} has been charged back; cannot issue a refund."
        raise world.conflict(message, code="charge_disputed")
    if left == 0:
        message = f"Charge {charge['id']} has already been refunded."
        raise world.conflict(message, code="charge_already_refunded")
    amount = params.get("amount", left)
    if amount < 1:
        raise Refusal("Invalid positive integer", code="parameter_invalid_integer", param="amount")
    if amount > left:
        sums = f"({_shown(amount, charge)}) is greater than unrefunded amount on charge ({_shown(left, charge)})"
        raise world.conflict(f"Refund amount {sums}", param="amount")
    return _refund(world, charge, amount, params)


def fail_refund(world: World, refund: Obj, why: str = "expired_or_canceled_card") -> Obj:
    """Let a *refund* fail after all: the money is back with the merchant."""
    charge = world.store.need(refund["charge"])
    transaction = move_money(world, refund["amount"], refund["currency"], "refund", refund["id"])
    fields = {"failure_balance_transaction": transaction["id"], "failure_reason": why, "status": "failed"}
    world.change(refund, "refund.updated", **fields)
    world.emit("charge.refund.updated", refund, {"status": "succeeded"})
    world.emit("refund.failed", refund)
    world.change(charge, amount_refunded=charge["amount_refunded"] - refund["amount"], refunded=False)
    return refund


def end_refund(world: World, id_: str) -> None:
    """Let a refund that takes its time come to its end."""
    refund = world.store.need(id_)
    if refund["status"] == "pending":
        world.change(refund, "refund.updated", status="succeeded", pending_reason=None)
        world.emit("charge.refund.updated", refund, {"status": "pending"})
    elif refund["status"] == "succeeded":
        fail_refund(world, refund)


def refunds_of(world: World, charge: Obj) -> Obj:
    """Return the refunds of a *charge* as a list."""
    url = f"/v1/charges/{charge['id']}/refunds"
    return views.listed(world.store.by("refund", charge=charge["id"]), url)


def _ask_later(world: World, intent: Obj, method: Obj) -> Obj:
    decline(world, intent, method, "authentication_required")
    return ask(world, intent, method)


def _charge(world: World, intent: Obj, method: Obj) -> Obj:
    return world.make(
        "charge",
        "ch_3",
        23,
        amount=intent["amount"],
        amount_captured=0,
        amount_refunded=0,
        application=None,
        application_fee=None,
        application_fee_amount=None,
        balance_transaction=None,
        billing_details=method["billing_details"],
        calculated_statement_descriptor="PAIDUP",
        captured=False,
        currency=intent["currency"],
        customer=intent["customer"],
        description=intent["description"],
        disputed=False,
        failure_balance_transaction=None,
        failure_code=None,
        failure_message=None,
        fraud_details={},
        metadata=dict(intent["metadata"]),
        on_behalf_of=None,
        outcome=None,
        paid=False,
        payment_intent=intent["id"],
        payment_method=method["id"],
        payment_method_details=_method_details(method),
        receipt_email=intent["receipt_email"],
        receipt_number=None,
        receipt_url=None,
        refunded=False,
        review=None,
        shipping=None,
        source=None,
        source_transfer=None,
        statement_descriptor=None,
        statement_descriptor_suffix=None,
        status="pending",
        transfer_data=None,
        transfer_group=None,
    )


def _method_details(method: Obj) -> Obj:
    details = method[method["type"]]
    if method["type"] != "card":
        shown = {k: v for k, v in details.items() if k != "generated_from"}
        return {"sepa_debit": shown | {"expected_debit_date": None, "mandate": None}, "type": "sepa_debit"}
    names = ("brand", "checks", "country", "exp_month", "exp_year", "fingerprint", "funding", "last4")
    card = {name: details[name] for name in names}
    return {"card": card | {"network": details["brand"], "three_d_secure": None, "wallet": None}, "type": "card"}


def _outcome(status: str, reason: str | None) -> Obj:
    approved = reason is None
    return {
        "advice_code": None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": status,
        "reason": reason,
        "risk_level": "normal",
        "risk_score": 12,
        "seller_message": "Payment complete." if approved else "The bank did not return any further details.",
        "type": "authorized" if approved else "issuer_declined",
    }


def _charge_to_refund(world: World, params: dict[str, Any]) -> Obj:
    if "charge" not in params and "payment_intent" not in params:
        raise missing("payment_intent")
    if "charge" in params:
        charge = world.named(params["charge"], "charge", "charge")
    else:
        intent = world.named(params["payment_intent"], "payment_intent", "payment_intent")
        charge = world.store.get(intent["latest_charge"]) or {"status": "none"}
    if charge["status"] != "succeeded":
        message = "This payment does not have a successful charge to refund."
        raise world.conflict(message, code="payment_intent_unexpected_state")
    return charge


def _refund(world: World, charge: Obj, amount: int, params: dict[str, Any]) -> Obj:
    card = cards.of(world.store.get(charge["payment_method"]))
    goes = card.refund if card else "succeeded"
    pending = goes == "pending"
    refund: Obj = {
        "id": new_id("re_3", 23),
        "object": "refund",
        "amount": amount,
        "charge": charge["id"],
        "created": world.now(),
        "currency": charge["currency"],
        "customer": charge["customer"],
        "customer_account": None,
        "destination_details": {
            "card": {"reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund"},
            "type": "card",
        },
        "failure_balance_transaction": None,
        "metadata": merged_metadata({}, params.get("metadata")),
        "payment_intent": charge["payment_intent"],
        "payment_method": charge["payment_method"],
        "pending_reason": "processing" if pending else None,
        "reason": params.get("reason"),
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "pending" if pending else "succeeded",
        "transfer_reversal": None,
    }
    transaction = move_money(world, -amount, charge["currency"], "refund", refund["id"])
    world.store.put(refund | {"balance_transaction": transaction["id"]})
    total = charge["amount_refunded"] + amount
    previous = {"amount_refunded": charge["amount_refunded"], "refunded": charge["refunded"]}
    world.change(charge, amount_refunded=total, refunded=total == charge["amount"])
    world.emit("charge.refunded", charge, previous)
    world.emit("refund.created", refund | {"balance_transaction": transaction["id"]})
    if goes != "succeeded":
        world.store.schedule(world.now() + REFUND_AFTER_S, "refund.end", refund["id"])
    return refund | {"balance_transaction": transaction["id"]}


def _update_refund(world: World, params: dict[str, Any], id_: str) -> Obj:
    refund = world.named(id_, "refund")
    metadata = merged_metadata(refund["metadata"], params.get("metadata"))
    return world.change(refund, "refund.updated", metadata=metadata)


def _list_refunds(world: World, params: dict[str, Any]) -> Obj:
    equal = {name: params.get(name) for name in ("charge", "payment_intent")}
    return views.page(world, "refund", params, "/v1/refunds", equal=equal)


def _list_charges(world: World, params: dict[str, Any]) -> Obj:
    equal = {name: params.get(name) for name in ("customer", "payment_intent", "transfer_group")}
    return views.page(world, "charge", params, "/v1/charges", equal=equal)


def _list_intents(world: World, params: dict[str, Any]) -> Obj:
    return views.page(
        world, "payment_intent", params, "/v1/payment_intents", equal={"customer": params.get("customer")}
    )


def _list_transactions(world: World, params: dict[str, Any]) -> Obj:
    equal = {name: params.get(name) for name in ("source", "type", "currency")}
    return views.page(world, "balance_transaction", params, "/v1/balance_transactions", equal=equal)


def _retrieve(kind: str) -> Any:
    return lambda world, _, id_: world.named(id_, kind)


def _shown(amount: int, charge: Obj) -> str:
    return f"{amount / 100:.2f} {charge['currency']}"


views.INCLUDABLE["charge", "refunds"] = refunds_of

UNMODELLED_REFUND = (
    "currency",
    "customer",
    "origin",
    "instructions_email",
    "refund_application_fee",
    "reverse_transfer",
)
OPERATIONS = (
    Operation("GET", "/v1/payment_intents", "_payment_intent_list_params", _list_intents),
    Operation("GET", "/v1/payment_intents/{}", "_payment_intent_retrieve_params", _retrieve("payment_intent")),
    Operation("GET", "/v1/charges", "_charge_list_params", _list_charges),
    Operation("GET", "/v1/charges/{}", "_charge_retrieve_params", _retrieve("charge")),
    Operation("POST", "/v1/refunds", "_refund_create_params", create_refund, UNMODELLED_REFUND),
    Operation("GET", "/v1/refunds", "_refund_list_params", _list_refunds),
    Operation("GET", "/v1/refunds/{}", "_refund_retrieve_params", _retrieve("refund")),
    Operation("POST", "/v1/refunds/{}", "_refund_update_params", _update_refund),
    Operation("GET", "/v1/balance_transactions", "_balance_transaction_list_params", _list_transactions),
    Operation(
        "GET", "/v1/balance_transactions/{}", "_balance_transaction_retrieve_params", _retrieve("balance_transaction")
    ),
)
