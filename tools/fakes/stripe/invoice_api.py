"""What Stripe's API lets a merchant do to invoices."""

from typing import Any

from tools.fakes.store import Obj
from tools.fakes.stripe import (
    cards,
    customers,
    invoice_items,
    invoices,
    manual_invoices,
    renewals,
    subscriptions,
    views,
)
from tools.fakes.stripe.operation import Operation, merged_metadata
from tools.fakes.stripe.wire import Refusal
from tools.fakes.stripe.world import World

UNSETTLED = ("open", "uncollectible")


def _pay(world: World, params: dict[str, Any], id_: str) -> Obj:
    invoice = world.named(id_, "invoice")
    if invoice["status"] == "draft":
        invoices.finalize(world, invoice)
    if invoice["status"] not in UNSETTLED:
        raise world.conflict("Invoice is already paid" if invoice["status"] == "paid" else "Invoice is not open")
    _check_free(world, invoice)
    subscription = invoices.subscription_of(world, invoice)
    customer = world.store.need(invoice["customer"])
    if params.get("paid_out_of_band"):
        invoices.mark_paid(world, invoice, None)
    else:
        given = {"default_payment_method": params["payment_method"]} if "payment_method" in params else {}
        method = customers.method_for(world, given, customer) if given else _default_method(world, invoice)
        invoices.collect(world, invoice, method)
        if method and method["type"] in cards.TAKES_TIME:
            return invoice
    if invoice["status"] != "paid":
        raise declined(world, invoice, keep=True)
    if subscription:
        renewals.recover(world, world.store.need(subscription["id"]))
    return invoice


def _check_free(world: World, invoice: Obj) -> None:
    """Refuse to pay or void an *invoice* that a debit is paying already."""
    if invoices.under_way(world, invoice):
        raise world.conflict("A payment of this invoice is being processed.")


def _default_method(world: World, invoice: Obj) -> Obj | None:
    subscription = invoices.subscription_of(world, invoice)
    if subscription is None:
        return manual_invoices.method_of(world, invoice)
    return subscriptions.default_method(world, subscription)


def pay_as_buyer(world: World, invoice: Obj, number: str, *, agrees: bool) -> Obj:
    """Let the buyer pay an open *invoice* on its page with the test card *number*, and answer their bank."""
    if invoice["status"] not in UNSETTLED:
        raise world.conflict("Invoice is already paid" if invoice["status"] == "paid" else "Invoice is not open")
    _check_free(world, invoice)
    card, customer = cards.read(number), world.store.need(invoice["customer"])
    method = cards.save(world, card, email=customer["email"], customer=customer["id"])
    invoices.collect(world, invoice, method, buyer_agrees=agrees)
    subscription = invoices.subscription_of(world, invoice)
    if subscription and invoice["status"] == "paid":
        renewals.recover(world, subscription)
    return invoice


def _finalize(world: World, params: dict[str, Any], id_: str) -> Obj:
    invoice = world.named(id_, "invoice")
    if invoice["status"] != "draft":
        raise world.conflict("This invoice is already finalized, you can't re-finalize a non-draft invoice.")
    advances = bool(params.get("auto_advance", invoice["auto_advance"]))
    subscription = invoices.subscription_of(world, invoice)
    world.change(invoice, auto_advance=advances)
    if subscription is None:
        return manual_invoices.finalize(world, invoice, advances=advances)
    if advances:
        renewals.charge_now(world, subscription, invoice)
        return world.store.need(id_)
    return invoices.finalize(world, invoice)


def _void(world: World, _: dict[str, Any], id_: str) -> Obj:
    invoice = world.named(id_, "invoice")
    if invoice["status"] not in UNSETTLED:
        raise world.conflict("You can only pass in open invoices. This invoice isn't open.")
    _check_free(world, invoice)
    invoices.void(world, invoice)
    subscription = invoices.subscription_of(world, invoice)
    if subscription and subscription["status"] == "incomplete":
        subscriptions.expire_incomplete(world, subscription["id"])
    elif subscription and subscription["status"] not in subscriptions.ENDED:
        renewals.recover(world, subscription)
    return invoice


def _mark_uncollectible(world: World, _: dict[str, Any], id_: str) -> Obj:
    invoice = world.named(id_, "invoice")
    if invoice["status"] != "open":
        raise world.conflict("You can only mark open invoices as uncollectible. This invoice isn't open.")
    invoices.mark_uncollectible(world, invoice)
    subscription = invoices.subscription_of(world, invoice)
    if subscription and subscription["status"] in ("past_due", "unpaid"):
        renewals.recover(world, subscription)
    return invoice


def _update(world: World, params: dict[str, Any], id_: str) -> Obj:
    invoice = world.named(id_, "invoice")
    fields: dict[str, Any] = {"metadata": merged_metadata(invoice["metadata"], params.get("metadata"))}
    if "description" in params:
        fields["description"] = params["description"] or None
    if "auto_advance" in params:
        fields["auto_advance"] = params["auto_advance"]
        world.store.unschedule("invoice.finalize", id_)
        at = world.now() + invoices.DRAFT_FOR_S if params["auto_advance"] and invoice["status"] == "draft" else None
        fields["automatically_finalizes_at"] = at
        if at:
            world.store.schedule(at, "invoice.finalize", id_)
    return world.change(invoice, "invoice.updated", **fields)


def declined(world: World, invoice: Obj, *, keep: bool = False) -> Refusal:
    """Return the refusal that tells why *invoice* could not be collected."""
    payments = world.store.by("invoice_payment", invoice=invoice["id"])
    if not payments:
        return Refusal("This invoice has no payment method to collect with.", code="resource_missing", keep=keep)
    intent = world.store.need(payments[0]["payment"]["payment_intent"])
    error = intent["last_payment_error"]
    extra = {"decline_code": error.get("decline_code"), "charge": error["charge"], "payment_intent": intent}
    code, message = error["code"], error["message"]
    return Refusal(message, code=code, type_="card_error", status=402, keep=keep, extra=extra)


def _payments(world: World, invoice: Obj) -> Obj:
    url = f"/v1/invoice_payments?invoice={invoice['id']}"
    return views.listed(world.store.by("invoice_payment", invoice=invoice["id"]), url)


def _list(world: World, params: dict[str, Any]) -> Obj:
    equal = {name: params.get(name) for name in ("customer", "status", "collection_method")}
    equal["parent__subscription_details__subscription"] = params.get("subscription")
    return views.page(world, "invoice", params, "/v1/invoices", equal=equal)


def _list_items(world: World, params: dict[str, Any]) -> Obj:
    equal = {name: params.get(name) for name in ("customer", "invoice")}
    also = ("1",)
    if "pending" in params:
        also = (f"json_extract(body, '$.invoice') IS {'' if params['pending'] else 'NOT '}NULL",)
    return views.page(world, "invoiceitem", params, "/v1/invoiceitems", also=also, equal=equal)


def _list_payments(world: World, params: dict[str, Any]) -> Obj:
    payment = params.get("payment", {})
    if payment.get("type") == "payment_intent" and "payment_intent" not in payment:
        raise Refusal("You must provide payment[payment_intent].", param="payment[payment_intent]")
    equal = {"payment__payment_intent": payment.get("payment_intent")}
    equal |= {name: params.get(name) for name in ("invoice", "status")}
    return views.page(world, "invoice_payment", params, "/v1/invoice_payments", equal=equal)


views.INCLUDABLE["invoice", "payments"] = _payments

CREATE_BEYOND = (
    "account_tax_ids",
    "application_fee_amount",
    "automatic_tax.enabled",
    "automatically_finalizes_at",
    "custom_fields",
    "customer_account",
    "default_source",
    "default_tax_rates",
    "discounts",
    "effective_at",
    "footer",
    "from_invoice",
    "issuer",
    "number",
    "on_behalf_of",
    "payment_settings",
    "rendering",
    "shipping_cost",
    "shipping_details",
    "statement_descriptor",
    "subscription",
    "transfer_data",
)
ITEM_BEYOND = (
    "amount",
    "customer_account",
    "discountable",
    "discounts",
    "quantity_decimal",
    "subscription",
    "tax_behavior",
    "tax_code",
    "tax_rates",
    "unit_amount_decimal",
)
UPDATE_BEYOND = (
    "account_tax_ids",
    "application_fee_amount",
    "automatic_tax",
    "automatically_finalizes_at",
    "collection_method",
    "custom_fields",
    "days_until_due",
    "default_payment_method",
    "default_source",
    "default_tax_rates",
    "discounts",
    "due_date",
    "effective_at",
    "footer",
    "issuer",
    "number",
    "on_behalf_of",
    "payment_settings",
    "rendering",
    "shipping_cost",
    "shipping_details",
    "statement_descriptor",
    "transfer_data",
)
OPERATIONS = (
    Operation("GET", "/v1/invoices", "_invoice_list_params", _list, ("due_date",)),
    Operation("POST", "/v1/invoices", "_invoice_create_params", manual_invoices.create, CREATE_BEYOND),
    Operation("GET", "/v1/invoices/{}", "_invoice_retrieve_params", views.retrieve("invoice")),
    Operation("POST", "/v1/invoices/{}", "_invoice_update_params", _update, UPDATE_BEYOND),
    Operation("POST", "/v1/invoices/{}/pay", "_invoice_pay_params", _pay, ("forgive", "source", "mandate")),
    Operation("POST", "/v1/invoices/{}/finalize", "_invoice_finalize_invoice_params", _finalize),
    Operation("POST", "/v1/invoices/{}/send", "_invoice_send_invoice_params", manual_invoices.send),
    Operation("POST", "/v1/invoices/{}/void", "_invoice_void_invoice_params", _void),
    Operation("POST", "/v1/invoices/{}/mark_uncollectible", "_invoice_mark_uncollectible_params", _mark_uncollectible),
    Operation("GET", "/v1/invoiceitems", "_invoice_item_list_params", _list_items),
    Operation("POST", "/v1/invoiceitems", "_invoice_item_create_params", invoice_items.create, ITEM_BEYOND),
    Operation("GET", "/v1/invoiceitems/{}", "_invoice_item_retrieve_params", views.retrieve("invoiceitem")),
    Operation(
        "GET", "/v1/invoice_payments", "_invoice_payment_list_params", _list_payments, ("payment.payment_record",)
    ),
    Operation("GET", "/v1/invoice_payments/{}", "_invoice_payment_retrieve_params", views.retrieve("invoice_payment")),
)
