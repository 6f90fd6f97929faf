"""The page on which people sign in."""

from html import escape

from tools.fakes.page import document


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
