"""The desk: support finds a customer, sees all that is known of them, and assigns a payment that belongs to nobody."""

from collections.abc import Iterator
from dataclasses import dataclass

from paidup.flows.services import Services
from paidup.flows.settle import SettleResult, settle
from paidup.flows.support import Decision, note
from paidup.model.account import Account
from paidup.model.case import ReviewCase
from paidup.model.errors import Conflict, Malformed, NotFound, ObjectMissing, UnknownOffer
from paidup.model.event import EventRecord
from paidup.model.fact import Channel
from paidup.model.offer import Kind, Offer
from paidup.model.provider import FoundPayment
from paidup.model.purchase import Purchase
from paidup.model.timeline import TimelineEntry
from paidup.outside.deadline import within

ASK_WITHIN_S = 10.0
MOST_FOUND = 20
MOST_PURCHASES = 100
MOST_FAILED = 100
MOST_TOKENS = 50


class PaymentTaken(Conflict):
    """The payment belongs to a customer already."""

    slug = "payment-taken"
    title = "The payment belongs to somebody"
    next_step = "Sync that customer. If everything of theirs belongs to another customer, move it."

    def __init__(self, ref: str, customer_id: str) -> None:
        """Refuse to assign *ref*, which is *customer_id*'s."""
        super().__init__(f"{ref} belongs to the customer {customer_id!r}.")


class NothingToAssign(Conflict):
    """Nothing was paid by it."""

    slug = "nothing-to-assign"
    title = "Nothing was paid"
    next_step = "Look at the payment at the provider: it failed, or was never made."

    def __init__(self, payment: str) -> None:
        """Refuse to assign *payment*."""
        super().__init__(f"Nothing was paid by {payment!r}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The customers whom a search found. `payment` is a payment that belongs to nobody, at `provider`."""

    customer_ids: tuple[str, ...]
    provider: str | None = None
    payment: FoundPayment | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerFile:
    """All that is known of a customer: the newest purchases and timeline entries, open cases, and failed events.

    `cut`: there are more purchases than these.
    """

    account: Account
    purchases: tuple[Purchase, ...]
    cut: bool
    timeline: tuple[TimelineEntry, ...]
    cases: tuple[ReviewCase, ...]
    failed: tuple[EventRecord, ...]


def find(query: str, services: Services) -> Found:
    """Return the customers whom *query* is about: a customer's id, an e-mail address, a reference, or a provider's id.

    What the table does not know is asked of the providers. Raises ProviderUnavailable and ProviderRefused.
    """
    if "@" in query:
        with within(ASK_WITHIN_S):
            return Found(customer_ids=tuple(dict.fromkeys(_with_email(query, services)))[:MOST_FOUND])
    if known := tuple(dict.fromkeys(_known_as(query, services))):
        return Found(customer_ids=known)
    for provider in services.providers:
        try:
            with within(ASK_WITHIN_S):
                payment = services.provider(provider).find_payment(query)
        except ObjectMissing:
            continue
        owner = owner_of(payment, services)
        return Found(customer_ids=(owner,)) if owner else Found(customer_ids=(), provider=provider, payment=payment)
    return Found(customer_ids=())


def owner_of(payment: FoundPayment, services: Services) -> str | None:
    """Return the customer of *payment*: by the ids that the table knows, else as the provider's notes say."""
    for ref in payment.refs:
        if owner := services.table.find_owner(ref):
            return owner.customer_id
    return payment.customer_id


def customer_file(customer_id: str, services: Services, *, now: int) -> CustomerFile:
    """Return all that is known of the customer at *now*. Raises NotFound if nothing is, and Contended."""
    snapshot, purchases, following = services.table.load_account(customer_id, most=MOST_PURCHASES)
    account, timeline = snapshot.account, services.table.timeline(customer_id)
    tokens = services.table.first_tokens(customer_id, most=MOST_TOKENS)
    if not (account.version or timeline):
        raise NotFound("account", customer_id)
    cases = (services.table.case(an_id) for one in purchases for an_id in one.open_cases)
    pages = [one.token for one in services.table.checkouts_of(customer_id) if one.token]
    refs = [*account.customers.values(), *(ref for one in purchases for ref in one.refs)]
    ids = {customer_id, *pages, *(ref.partition("#")[2] for ref in refs)}
    failed = services.table.failed_before(now + 1, most=MOST_FAILED)
    return CustomerFile(
        account=account,
        purchases=tuple(purchases),
        cut=following is not None,
        timeline=tuple(sorted((*timeline, *tokens), key=lambda one: -one.occurred_at)),
        cases=tuple(case for case in cases if case and case.open),
        failed=tuple(one for one in failed if any(f'"{an_id}"' in one.body for an_id in ids)),
    )


def assign(customer_id: str, payment: str, offer_id: str, services: Services, decision: Decision) -> SettleResult:
    """Give what was paid by *payment* (any id of it at its provider) to the customer, as the offer, and return that.

    Raises UnknownOffer, Malformed if the offer does not fit, NotFound if no provider has the payment, PaymentTaken if
    it belongs to a customer already, NothingToAssign, and what `settle` raises.
    """
    offer = services.table.offer(offer_id)
    if offer is None:
        raise UnknownOffer(offer_id)
    provider, found = _paid_by(payment, services)
    _check_free(found, customer_id, services)
    _check_fits(offer, found)
    with within(ASK_WITHIN_S):
        facts = services.provider(provider).assigned(payment, offer, customer_id=customer_id)
    if not facts:
        raise NothingToAssign(payment)
    settled = settle(facts, Channel.SUPPORT, services, now=decision.now)
    purchase_id = facts[0].purchase_id
    note(customer_id, purchase_id, f"{found.ref} assigned by support as {offer_id}", services, decision)
    return settled


def _paid_by(payment: str, services: Services) -> tuple[str, FoundPayment]:
    for provider in services.providers:
        try:
            with within(ASK_WITHIN_S):
                return provider, services.provider(provider).find_payment(payment)
        except ObjectMissing:
            continue
    raise NotFound("payment", payment)


def _check_free(found: FoundPayment, customer_id: str, services: Services) -> None:
    """Refuse a payment that is sold already, or whose payer is another customer. Raises PaymentTaken."""
    for ref in found.refs:
        if (owner := services.table.find_owner(ref)) and (owner.purchase_id or owner.customer_id != customer_id):
            raise PaymentTaken(found.ref, owner.customer_id)
    if found.customer_id:
        raise PaymentTaken(found.ref, found.customer_id)


def _check_fits(offer: Offer, found: FoundPayment) -> None:
    """Refuse to sell a subscription as something else, and the other way round."""
    if offer.kind is Kind.LIVE_SESSION:
        raise Malformed("offer_id", "must not be a live session, which its customer books")
    if (offer.kind is Kind.SUBSCRIPTION) is not found.renews:
        raise Malformed("offer_id", "must renew" if found.renews else "must not renew")


def _with_email(email: str, services: Services) -> Iterator[str]:
    """Yield the customers whom a provider knows by *email*."""
    for provider in services.providers:
        for found in services.provider(provider).find_customers(email):
            if owner := services.table.find_owner(found.ref):
                yield owner.customer_id
            elif found.customer_id and services.table.account(found.customer_id).version:
                yield found.customer_id


def _known_as(query: str, services: Services) -> Iterator[str]:
    """Yield the customers to whom the table leads from *query*."""
    for name in (query, query.rpartition(".")[0]):  # a reference is a customer's id with the end of a purchase's
        if name and services.table.account(name).version:
            yield name
    owners = (services.table.purchase_owner(query), services.table.booking_owner(query))
    yield from filter(None, owners)
    for provider in services.providers:
        if owner := services.table.find_owner(f"{provider}#{query}"):
            yield owner.customer_id
        if (event := services.table.event(provider, query)) and event.customer_id:
            yield event.customer_id
