"""How the stand-ins' pages look: plain HTML that works without a script, for keyboards, readers and phones."""

from collections.abc import Iterable
from html import escape

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
input[type=text],input[type=email],input[type=number],select{width:100%;font:inherit;padding:.7rem;
border:1px solid var(--line);border-radius:.5rem;background:var(--paper);color:inherit}
button{width:100%;font:inherit;font-weight:600;padding:.8rem;margin-top:1.1rem;border:0;border-radius:.5rem;
background:var(--brand);color:#fff;cursor:pointer}
button.quiet{background:none;color:inherit;border:1px solid var(--line)}
@media(prefers-color-scheme:dark){button{color:#0b0c14}button.quiet{color:inherit}}
:focus-visible{outline:3px solid var(--brand);outline-offset:2px}
.error{color:var(--bad);border:1px solid;border-radius:.5rem;padding:.7rem;margin:0 0 .5rem}
a{color:var(--brand)}small,summary{opacity:.9}td,th{text-align:left;padding:.15rem .6rem .15rem 0;vertical-align:top}
"""


def document(title: str, body: str) -> str:
    """Return a whole page."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<style>{STYLE}</style></head><body><main>{body}</main></body></html>"
    )


def index_page(base: str, webhooks: Iterable[str], now: str, more: str) -> str:
    """Return the page that says what is here, with *more* HTML at its end."""
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
<div class="card"><table>{listed}</table></div><h2>Webhooks go to</h2><ul>{hooks}</ul>{more}""",
    )
