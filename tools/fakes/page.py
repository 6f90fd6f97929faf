"""How the stand-ins' pages look: plain HTML that works without a script, for keyboards, readers and phones."""

from collections.abc import Iterable
from html import escape

from tools.fakes.cards import CARDS
from tools.fakes.store import Obj

ZERO_DECIMAL = (
    "bif",
    "clp",
    "djf",
    "gnf",
    "jpy",
    "kmf",
    "krw",
    "mga",
    "pyg",
    "rwf",
    "ugx",
    "vnd",
    "vuv",
    "xaf",
    "xof",
    "xpf",
)
STYLE = """
:root{color-scheme:light dark;--ink:#1a1f36;--paper:#fff;--soft:#f6f8fa;--line:#8792a2;--brand:#5146d9;--bad:#b3093c}
@media(prefers-color-scheme:dark){:root{--ink:#f0f2f8;--paper:#14161f;--soft:#1f2230;--brand:#8d86ff;--bad:#ff8fa8}}
*{box-sizing:border-box}body{margin:0;font:1rem/1.5 system-ui,sans-serif;color:var(--ink);background:var(--soft)}
main{max-width:30rem;margin:0 auto;padding:1.5rem 1rem}h1{font-size:1.4rem;margin:.5rem 0}
.card{background:var(--paper);border-radius:.75rem;padding:1.25rem;margin:1rem 0;box-shadow:0 1px 4px #0003}
.badge{background:#ffde92;color:#3d2b00;border-radius:1rem;padding:.15rem .7rem;font-size:.8rem;font-weight:600}
dl{display:grid;grid-template-columns:1fr auto;gap:.25rem 1rem;margin:0}dd{margin:0;text-align:right}
.total{font-weight:700;border-top:1px solid var(--line);padding-top:.4rem;margin-top:.2rem}
label{display:block;font-weight:600;margin:.9rem 0 .25rem}fieldset{border:0;margin:1rem 0 0;padding:0}
fieldset label{font-weight:400;margin:.35rem 0}legend{font-weight:600}
input[type=text],input[type=email]{width:100%;font:inherit;padding:.7rem;border:1px solid var(--line);
border-radius:.5rem;background:var(--paper);color:inherit}
button{width:100%;font:inherit;font-weight:600;padding:.8rem;margin-top:1.1rem;border:0;border-radius:.5rem;
background:var(--brand);color:#fff;cursor:pointer}
button.quiet{background:none;color:inherit;border:1px solid var(--line)}
@media(prefers-color-scheme:dark){button{color:#0b0c14}button.quiet{color:inherit}}
:focus-visible{outline:3px solid var(--brand);outline-offset:2px}
.error{color:var(--bad);border:1px solid;border-radius:.5rem;padding:.7rem;margin:0 0 .5rem}
a{color:var(--brand)}small,summary{opacity:.9}td,th{text-align:left;padding:.15rem .6rem .15rem 0;vertical-align:top}
"""


def amount(minor: int, currency: str) -> str:
    """Return *minor* units of a *currency* for people."""
    major = f"{minor:,}" if currency in ZERO_DECIMAL else f"{minor / 100:,.2f}"
    return f"{major} {currency.upper()}"


def document(title: str, body: str) -> str:
    """Return a whole page."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<style>{STYLE}</style></head><body><main>{body}</main></body></html>"
    )


def pay_page(session: Obj, lines: Iterable[Obj], *, error: str = "", email: str = "", card: str = "") -> str:
    """Return the page on which the buyer pays an open *session*."""
    total = amount(session["amount_total"], session["currency"])
    known = (session["customer_details"] or {}).get("email") or session["customer_email"]
    alert = f'<p class="error" role="alert" id="problem">{escape(error)}</p>' if error else ""
    asked = f"<p><strong>E-mail</strong> {escape(known)}</p>" if known else _email_field(email)
    back = session["cancel_url"]
    described = ' aria-describedby="problem" aria-invalid="true"' if error else ""
    return document(
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
{f'<p><a href="{escape(back)}">Back</a></p>' if back else ""}{_test_cards()}""",
    )


def authentication_page(session: Obj, lines: Iterable[Obj]) -> str:
    """Return the page on which the buyer's bank asks whether they really pay."""
    total = amount(session["amount_total"], session["currency"])
    return document(
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
    return document(title, f'<p><span class="badge">Test mode</span></p><h1>{title}</h1><p>{text}</p>{link}')


def missing_page() -> str:
    """Return the page of a session that is not there."""
    return document("No such payment page", "<h1>No such payment page</h1><p>Check the address.</p>")


def sign_in_page(fields: dict[str, str]) -> str:
    """Return the identity stand-in's sign-in form, which carries the *fields* of the request along."""
    hidden = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in fields.items()
    )
    return document(
        "Sign in",
        f"""<p><span class="badge">Test mode</span></p><h1>Sign in</h1>
<form class="card" method="post" action="/identity/authorize">{hidden}
<label for="email">E-mail</label>
<input id="email" name="email" type="email" autocomplete="email" required value="ada@example.com">
<label for="sub">Customer id <small>(made from the e-mail address when left empty)</small></label>
<input id="sub" name="sub" type="text" autocomplete="username" pattern="[A-Za-z0-9_.\\-]{{1,64}}">
<fieldset><legend>Roles</legend>
<label><input type="checkbox" name="roles" value="host"> Host (gives live sessions)</label>
<label><input type="checkbox" name="roles" value="support"> Support desk</label></fieldset>
<button type="submit">Sign in</button></form>""",
    )


def index_page(base: str, webhooks: Iterable[str], now: str) -> str:
    """Return the page that says what is here."""
    rows = (
        ("/stripe/v1/…", "Stripe's API. Key <code>sk_test_local</code>"),
        ("/stripe/pay/&lt;session&gt;", "the buyer's page"),
        ('<a href="/identity/.well-known/openid-configuration">/identity</a>', "an OpenID provider"),
        ('<a href="/dev/faults">/dev/faults</a>', "what goes wrong; POST to change it, <code>{}</code> to stop it"),
        ('<a href="/dev/clock">/dev/clock</a>', 'the time; POST <code>{"advance_s": 3600}</code> lets an hour pass'),
        ('<a href="/dev/deliveries">/dev/deliveries</a>', "webhook deliveries and their answers"),
        ("/dev/stripe/…", "cards, disputes, refunds, what follows failed renewals"),
    )
    listed = "".join(f"<tr><th scope='row'>{place}</th><td>{what}</td></tr>" for place, what in rows)
    hooks = "".join(f"<li>{escape(url)}</li>" for url in webhooks) or "<li>none</li>"
    return document(
        "Stand-ins",
        f"""<h1>Stand-ins for Stripe and an identity provider</h1><p>At {escape(base)}; it is {escape(now)}.</p>
<div class="card"><table>{listed}</table></div><h2>Webhooks go to</h2><ul>{hooks}</ul>{_test_cards()}""",
    )


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


def _test_cards() -> str:
    rows = "".join(f"<tr><td><code>{card.number}</code></td><td>{escape(card.does)}</td></tr>" for card in CARDS)
    return f'<details class="card"><summary>Test cards</summary><table>{rows}</table></details>'
