"""The pages on which buyers pay."""

from collections.abc import Iterable
from html import escape

from tools.fakes import page
from tools.fakes.store import Obj
from tools.fakes.stripe.cards import CARDS

ZERO_DECIMAL = "bif clp djf gnf jpy kmf krw mga pyg rwf ugx vnd vuv xaf xof xpf"


def amount(minor: int, currency: str) -> str:
    """Return *minor* units of a *currency* for people."""
    major = f"{minor:,}" if currency in ZERO_DECIMAL.split() else f"{minor / 100:,.2f}"
    return f"{major} {currency.upper()}"


def pay_page(session: Obj, lines: Iterable[Obj], *, error: str = "", email: str = "", card: str = "") -> str:
    """Return the page on which the buyer pays an open *session*."""
    total = amount(session["amount_total"], session["currency"])
    known = (session["customer_details"] or {}).get("email") or session["customer_email"]
    alert = f'<p class="error" role="alert" id="problem">{escape(error)}</p>' if error else ""
    asked = f"<p><strong>E-mail</strong> {escape(known)}</p>" if known else _email_field(email)
    back = session["cancel_url"]
    described = ' aria-describedby="problem" aria-invalid="true"' if error else ""
    return page.document(
        f"Pay {total}",
        f"""{_head(session, lines, total)}
<form class="card" method="post" action="/stripe/pay/{session["id"]}">{alert}
{asked}
<label for="card">Card number</label>
<input id="card" name="card" type="text" inputmode="numeric" autocomplete="cc-number" list="cards"
 value="{escape(card or CARDS[0].number)}"{described}>
<datalist id="cards">{"".join(f'<option value="{c.number}">{escape(c.does)}</option>' for c in CARDS)}</datalist>
{_methods(session)}
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
<div class="card"><dl>{items}<dt class="total">Due today</dt><dd class="total">{total}</dd></dl></div>"""


def _item(line: Obj) -> str:
    cost = amount(line["amount_total"], line["currency"])
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


def _email_field(email: str) -> str:
    value = escape(email or "buyer@example.com")
    field = f'<input id="email" name="email" type="email" autocomplete="email" required value="{value}">'
    return f'<label for="email">E-mail</label>{field}'


def test_cards() -> str:
    """Return the list of Stripe's test cards, folded."""
    rows = "".join(f"<tr><td><code>{card.number}</code></td><td>{escape(card.does)}</td></tr>" for card in CARDS)
    return f'<details class="card"><summary>Test cards</summary><table>{rows}</table></details>'
