"""`paidup explain`: where a payment is, and all that happened to its customer."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer
from paidup.edge import clock
from paidup.edge.views.desk import CustomerView, DeskMoment
from paidup.flows.desk import CustomerFile, Found, customer_file, find
from paidup.flows.services import Services
from paidup.model import money
from paidup.model.policy import Policy
from paidup.model.purchase import Purchase

from tools.cli.options import AsJson, Stack, new_app
from tools.cli.output import Stopped, print_json, show, waiting
from tools.cli.rows import CASE_COLUMNS, EVENT_COLUMNS, case_row, event_row, shown_time
from tools.cli.target import services

PURCHASES = {"purchase_id": "Purchase", "offer_id": "Offer", "status": "Status", "paid": "Paid", "until": "Until"}
MOMENTS = {"at": "When", "what": "What", "channel": "By", "waited": "After", "by": "Who", "purchase_id": "Purchase"}

app = new_app()


@app.command()
def explain(
    context: typer.Context,
    query: Annotated[str, typer.Argument(metavar="CUSTOMER|PAYMENT", help="Any id, reference or e-mail address.")],
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Tell what is known of a customer or a payment: purchases, cases, failed events, and what happened when.

    The customer's own id, a reference, an e-mail address and every id of the provider find it. If nobody is found, it
    ends with 1.

    Example: paidup explain pi_3Q0w8m2eZvKYlo2C1a2b3c4d --stack paidup
    """
    with services(context, stack) as there, waiting("Looking …"):
        found, now = find(query, there), clock.now()
        files = [customer_file(one, there, now=now) for one in found.customer_ids]
    if as_json:
        views = [asdict(CustomerView.of(one, now=now, policy=there.policy)) for one in files]
        print_json({"customers": views, "unassigned": found.payment.ref if found.payment else None})
    else:
        for file in files:
            _tell(file, there, now=now)
    if not files:
        raise Stopped(_nobody(found))


def _nobody(found: Found) -> str:
    if found.payment is None:
        return "Nothing here or at the providers has this id."
    return f"{found.payment.ref} belongs to nobody here. The desk assigns it to a customer."


def _tell(file: CustomerFile, there: Services, *, now: int) -> None:
    account, more = file.account, " There are more." if file.cut else ""
    print(f"Customer {account.customer_id}, billing version {account.billing_version}.{more}")
    _part(
        "Purchases", [_purchase(one, there.policy, now=now) for one in file.purchases], PURCHASES, "Nothing was bought."
    )
    _part("Open cases", [case_row(one) for one in file.cases], CASE_COLUMNS)
    _part("Failed events", [event_row(one) for one in file.failed], EVENT_COLUMNS)
    _part("What happened", [_moment(DeskMoment.of(one)) for one in file.timeline], MOMENTS, "Nothing has happened.")


def _part(title: str, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], nothing: str = "") -> None:
    if rows or nothing:
        print(f"\n{title}")
        show(rows, columns, as_json=False, nothing=nothing)


def _purchase(purchase: Purchase, policy: Policy, *, now: int) -> dict[str, Any]:
    status, payment = purchase.status_at(now=now, policy=policy), purchase.payment
    return {
        "purchase_id": purchase.purchase_id,
        "offer_id": purchase.sells,
        "status": status.state,
        "paid": money.shown(payment.amount, payment.currency) if payment else None,
        "until": shown_time(status.until),
    }


def _moment(one: DeskMoment) -> dict[str, Any]:
    """Return *one* as a row. `waited` is how long after the provider's payment, or its report, it took effect here."""
    waited_s = one.settled_at - (one.provider_paid_at or one.at)
    return {
        "at": shown_time(one.at),
        "what": f"{one.what} ({one.reason})" if one.reason else one.what,
        "channel": one.channel,
        "waited": f"{waited_s} s" if waited_s > 0 else None,
        "by": one.decided_by or one.said_by,
        "purchase_id": one.purchase_id,
    }
