"""What happens when the buyer presses "Pay" on the provider's page."""

from dataclasses import dataclass
from typing import Literal

from tools.fakes.store import Obj
from tools.fakes.stripe import cards, completion, payments
from tools.fakes.stripe.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How the payment ended: with the `event` that the page waits for, or with a `message` for the buyer."""

    kind: Literal["done", "declined", "asks", "closed"]
    message: str = ""
    event: str | None = None


def pay(world: World, session: Obj, *, card: str, email: str | None) -> Outcome:
    """Pay an open *session* with the test card numbered *card*, or with a delayed method called so."""
    if closed := _closed(world, session):
        return closed
    email = _email(session, email)
    if ("sepa_debit" if card in cards.DELAYED else "card") not in session["payment_method_types"]:
        return Outcome(kind="declined", message="This payment method is not available here.")
    if card in cards.DELAYED:
        method = cards.save_debit(world, card, email=email, customer=None)
        if session["amount_total"]:
            payments.process(world, completion.intent_for(world, session), method, card)
        return _completed(world, session, method, email, paid=not session["amount_total"])
    chosen = cards.read(card)
    if chosen.declined and not session["amount_total"]:
        return Outcome(kind="declined", message=cards.MESSAGES[chosen.declined][1])
    method = cards.save(world, chosen, email=email, customer=None)
    if not session["amount_total"]:
        return _completed(world, session, method, email, paid=True)
    intent = completion.intent_for(world, session)
    if chosen.declined:
        payments.decline(world, intent, method, chosen.declined)
    else:
        payments.attempt(world, intent, method, chosen, buyer_is_there=True)
    if intent["status"] == "requires_action":
        world.store.note(session["id"], "email", email)
        return Outcome(kind="asks")
    if intent["status"] != "succeeded":
        return Outcome(kind="declined", message=intent["last_payment_error"]["message"])
    return _completed(world, session, method, email, paid=True)


def authenticate(world: World, session: Obj, *, agrees: bool) -> Outcome:
    """Let the buyer's bank confirm the payment it was asked about, or not."""
    if closed := _closed(world, session):
        return closed
    intent = world.store.get(world.store.noted(session["id"], "intent"))
    if intent is None or intent["status"] != "requires_action":
        return Outcome(kind="declined", message="Nothing waits for your bank. Please pay again.")
    method = world.store.need(intent["payment_method"])
    if not agrees:
        payments.decline(world, intent, method, "authentication_required")
        message = "We are unable to authenticate your payment method. Please choose a different one and try again."
        return Outcome(kind="declined", message=message)
    payments.attempt(world, intent, method, cards.of(method), buyer_is_there=True, authenticated=True)
    email = world.store.noted(session["id"], "email")
    return _completed(world, session, method, email, paid=True)


def _closed(world: World, session: Obj) -> Outcome | None:
    if session["status"] == "open":
        return None
    if session["status"] == "complete":
        return Outcome(kind="done", event=world.store.noted(session["id"], "completed"))
    return Outcome(kind="closed", message="This payment page has expired.")


def _completed(world: World, session: Obj, method: Obj, email: str | None, *, paid: bool) -> Outcome:
    event = completion.complete(world, session, method, email, paid=paid)
    id_ = event["id"] if event else None
    world.store.note(session["id"], "completed", id_)
    return Outcome(kind="done", event=id_)


def _email(session: Obj, email: str | None) -> str | None:
    known = (session["customer_details"] or {}).get("email") or session["customer_email"]
    return known or email or None
