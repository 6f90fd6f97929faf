"""What Stripe's API lets a merchant do to invoices."""

from typing import Any

from tools.fakes.store import Obj
from tools.fakes.stripe import customers, invoices, renewals, subscriptions, views
from tools.fakes.stripe.operation import Operation
from tools.fakes.stripe.wire import Refusal
from tools.fakes.stripe.world import World


def _pay(world: World, params: dict[str, Any], id_: str) -> Obj:
    invoice = world.named(id_, "invoice")
    if invoice["status"] != "open":
        raise world.conflict("Invoice is already paid" if invoice["status"] == "paid" else "Invoice is not open")
    subscription = invoices.subscription_of(world, invoice)
    customer = world.store.need(invoice["customer"])
    if params.get("paid_out_of_band"):
        invoices.mark_paid(world, invoice, None)
    else:
        given = {"default_payment_method": params["payment_method"]} if "payment_method" in params else {}
        method = (
            customers.method_for(world, given, customer) if given else subscriptions.default_method(world, subscription)
        )
        invoices.collect(world, invoice, method)
    if invoice["status"] != "paid":
        raise declined(world, invoice, keep=True)
    renewals.recover(world, world.store.need(subscription["id"]))
    return invoice


def _void(world: World, _: dict[str, Any], id_: str) -> Obj:
    invoice = world.named(id_, "invoice")
    if invoice["status"] != "open":
        raise world.conflict("You can only pass in open invoices. This invoice isn't open.")
    return invoices.void(world, invoice)


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


def _list_payments(world: World, params: dict[str, Any]) -> Obj:
    payment = params.get("payment", {})
    if payment.get("type") == "payment_intent" and "payment_intent" not in payment:
        raise Refusal("You must provide payment[payment_intent].", param="payment[payment_intent]")
    equal = {"payment__payment_intent": payment.get("payment_intent")}
    equal |= {name: params.get(name) for name in ("invoice", "status")}
    return views.page(world, "invoice_payment", params, "/v1/invoice_payments", equal=equal)


views.INCLUDABLE["invoice", "payments"] = _payments

OPERATIONS = (
    Operation("GET", "/v1/invoices", "_invoice_list_params", _list, ("due_date",)),
    Operation("GET", "/v1/invoices/{}", "_invoice_retrieve_params", views.retrieve("invoice")),
    Operation("POST", "/v1/invoices/{}/pay", "_invoice_pay_params", _pay, ("forgive", "source", "mandate")),
    Operation("POST", "/v1/invoices/{}/void", "_invoice_void_invoice_params", _void),
    Operation(
        "GET", "/v1/invoice_payments", "_invoice_payment_list_params", _list_payments, ("payment.payment_record",)
    ),
    Operation("GET", "/v1/invoice_payments/{}", "_invoice_payment_retrieve_params", views.retrieve("invoice_payment")),
)
