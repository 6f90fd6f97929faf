"""The pages on which buyers pay."""

from collections.abc import Iterable, Mapping
from html import escape

from tools.fakes import page
from tools.fakes.store import Obj
from tools.fakes.stripe.cards import CARDS
from tools.fakes.stripe.currencies import shown as amount


def pay_page(session: Obj, lines: Iterable[Obj], *, error: str, form: Mapping[str, str]) -> str:
    """Return the page on which the buyer pays an open *session*, filled in as in the *form* sent before."""
    lines = list(lines)
    total = amount(session["amount_total"], session["currency"])
    known = (session["customer_details"] or {}).get("email") or session["customer_email"]
    alert = f'<p class="error" role="alert" id="problem">{escape(error)}</p>' if error else ""
    asked = f"<p><strong>E-mail</strong> {escape(known)}</p>" if known else _email_field(form.get("email", ""))
    back = session["cancel_url"]
    described = ' aria-describedby="problem" aria-invalid="true"' if error else ""
    return page.document(
        f"Pay {total}",
        f"""{_head(session, lines, total)}
<form class="card" method="post" action="/stripe/pay/{session["id"]}">{alert}
{asked}
<label for="card">Card number</label>
<input id="card" name="card" type="text" inputmode="numeric" autocomplete="cc-number" list="cards"
 value="{escape(form.get("card") or CARDS[0].number)}"{described}>
<datalist id="cards">{"".join(f'<option value="{c.number}">{escape(c.does)}</option>' for c in CARDS)}</datalist>
{_methods(session)}{_choices(session, lines, form)}
<button type="submit">Pay {escape(total)}</button></form>
{f'<p><a href="{escape(back)}">Back</a></p>' if back else ""}{test_cards()}""",
    )


def authentication_page(session: Obj, lines: Iterable[Obj]) -> str:
    """Return the page on which the buyer's bank asks whether they really pay."""
    total = amount(session["amount_total"], session["currency"])
    return page.document(
        "Your bank asks",
        f"""{_head(session, lines, total)}
<form class="card" method="post" action="/stripe/pay/{session["id"]}/authenticate"><h2>Your bank asks</h2>
<p>Do you want to pay {escape(total)}?</p>
<button type="submit" name="authentication" value="complete">Complete authentication</button>
<button type="submit" class="quiet" name="authentication" value="fail">Fail authentication</button></form>""",
    )


def closed_page(session: Obj) -> str:
    """Return the page of a *session* that can no longer be paid."""
    done = session["status"] == "complete"
    title = "You are all done here" if done else "This payment page has expired"
    text = "This checkout has been completed." if done else "Nothing was paid. Go back to start again."
    back = session["success_url" if done else "cancel_url"]
    link = (
        f'<p><a href="{escape(back.replace("{CHECKOUT_SESSION_ID}", session["id"]))}">Back to the shop</a></p>'
        if back
        else ""
    )
    return page.document(title, f'<p><span class="badge">Test mode</span></p><h1>{title}</h1><p>{text}</p>{link}')


def missing_page() -> str:
    """Return the page of a session that is not there."""
    return page.document("No such payment page", "<h1>No such payment page</h1><p>Check the address.</p>")


def _head(session: Obj, lines: Iterable[Obj], total: str) -> str:
    items = "".join(map(_item, lines))
    return f"""<p><span class="badge">Test mode</span></p><h1>{_verb(session)}</h1>
<div class="card"><dl>{items}{_adjustments(session)}
<dt class="total">Due today</dt><dd class="total">{total}</dd></dl></div>"""


def _item(line: Obj) -> str:
    cost = amount(line["amount_subtotal"], line["currency"])
    return f"<dt>{escape(line['description'])}{_times(line)}</dt><dd>{cost}{_every(line)}</dd>"


def _verb(session: Obj) -> str:
    return "Subscribe" if session["mode"] == "subscription" else "Pay"


def _times(line: Obj) -> str:
    return f" x {line['quantity']}" if line["quantity"] > 1 else ""


def _every(line: Obj) -> str:
    recurring = line["price"]["recurring"]
    if not recurring:
        return ""
    count, unit = recurring["interval_count"], recurring["interval"]
    return f" per {unit}" if count == 1 else f" every {count} {unit}s"


def _methods(session: Obj) -> str:
    if "sepa_debit" not in session["payment_method_types"]:
        return ""
    choices = {"delayed_success": "Bank debit that succeeds later", "delayed_failure": "Bank debit that fails later"}
    radio = '<label><input type="radio" name="method" value="{}"{}> {}</label>'
    radios = "".join(radio.format(value, "", text) for value, text in choices.items())
    return f"<fieldset><legend>How to pay</legend>{radio.format('card', ' checked', 'Card')}{radios}</fieldset>"


def _adjustments(session: Obj) -> str:
    details = session["total_details"]
    found = (("Discount", -details["amount_discount"]), ("Tax", details["amount_tax"]))
    return "".join(f"<dt>{name}</dt><dd>{amount(cost, session['currency'])}</dd>" for name, cost in found if cost)


def _choices(session: Obj, lines: list[Obj], form: Mapping[str, str]) -> str:
    """Return the fields for what the buyer may choose, and a button that shows what it costs."""
    fields = []
    for line in lines:
        if limits := line.get("adjustable_quantity"):
            within = f'type="number" min="{max(1, limits["minimum"])}" max="{limits["maximum"]}"'
            fields.append(_field("quantity", "Quantity", within, str(line["quantity"])))
    if session["allow_promotion_codes"]:
        fields.append(_field("promotion_code", "Promotion code", 'type="text"', form.get("promotion_code", "")))
    if session["automatic_tax"]["enabled"]:
        rules = 'type="text" autocomplete="country" maxlength="2" required'
        fields.append(_field("country", "Country (two letters)", rules, form.get("country", "")))
    if session["tax_id_collection"]["enabled"]:
        fields.append(_field("business_name", "Business name", 'type="text"', form.get("business_name", "")))
        fields.append(_field("tax_id", "Tax ID", 'type="text"', form.get("tax_id", "")))
    update = '<button type="submit" class="quiet" name="update" value="1">Update the total</button>'
    return "".join(fields) + update if fields else ""


def _field(name: str, label: str, rules: str, value: str) -> str:
    return f'<label for="{name}">{label}</label><input id="{name}" name="{name}" {rules} value="{escape(value)}">'


def _email_field(email: str) -> str:
    value = escape(email or "buyer@example.com")
    field = f'<input id="email" name="email" type="email" autocomplete="email" required value="{value}">'
    return f'<label for="email">E-mail</label>{field}'


def test_cards() -> str:
    """Return the list of Stripe's test cards, folded."""
    rows = "".join(f"<tr><td><code>{card.number}</code></td><td>{escape(card.does)}</td></tr>" for card in CARDS)
    return f'<details class="card"><summary>Test cards</summary><table>{rows}</table></details>'
