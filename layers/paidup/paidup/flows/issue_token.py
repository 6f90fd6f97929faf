"""Issue a billing token: what a customer may use now, signed, so that other backends need not ask for it."""

from collections.abc import Callable
from dataclasses import dataclass

from paidup.model.account import Account
from paidup.model.claims import BillingClaims, billing_claims
from paidup.model.timeline import token_issued
from paidup.outside import metrics
from paidup.outside.deadline import all_within
from paidup.outside.dynamo.table import Table
from paidup.outside.log import logger
from paidup.outside.signing_keys import SigningKeys

AFTER_A_CHANGE_S = 60
NOTE_WITHIN_S = 1.0
MOST_NOTED = 10_000
TOLD_WITHIN_S = 86_400

# The table, customer and billing version of tokens that this process issued: each is noted once.
_noted: set[tuple[str, str, int]] = set()


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedToken:
    """A billing token, what it says, and the account that it was made of."""

    token: str
    claims: BillingClaims
    account: Account


def issue_token(
    customer_id: str,
    table: Table,
    keys: Callable[[], SigningKeys],
    *,
    issuer: str,
    audience: str,
    now: int,
    noted_for_s: int,
) -> IssuedToken:
    """Return a token for the customer: one read of the account. *now* is in epoch seconds.

    That a billing version was told for the first time is noted for support, for *noted_for_s* seconds. That hinders
    no token.

    Raises what reading the secret raises, if no key can sign.
    """
    with metrics.outcome("TokenIssued", "TokenIssueTime"):
        account = table.account(customer_id)
        signing = keys()
        # As long as what it will be: `exp` is a number of ten digits.
        registered = {"iss": issuer, "aud": audience, "sub": customer_id, "iat": now, "exp": now}
        claims = billing_claims(
            account.access,
            version=account.billing_version,
            cut=account.access_cut,
            room=signing.room(registered, now=now),
            now=now,
        )
        _measure_wait(account, now=now)
        said = {**registered, "exp": claims.expires_at, "billing": claims.plain}
        token = signing.sign(said, now=now)
    _note(account, table, now=now, purge_at=now + noted_for_s)
    return IssuedToken(token=token, claims=claims, account=account)


def _note(account: Account, table: Table, *, now: int, purge_at: int) -> None:
    """Write down that the account's version was told for the first time, if it changed within a day.

    Later tokens of the same version write nothing.
    """
    key = (table.name, account.customer_id, account.billing_version)
    changed_at = account.access_changed_at
    if changed_at is None or now - changed_at > TOLD_WITHIN_S or key in _noted:
        return
    try:
        with all_within(NOTE_WITHIN_S):
            table.note_token(token_issued(account, now=now, purge_at=purge_at))
    except Exception as error:
        logger.warning("token.unnoted", customer_id=account.customer_id, why=type(error).__name__, exc_info=True)
        return
    if len(_noted) >= MOST_NOTED:
        _noted.clear()
    _noted.add(key)


def _measure_wait(account: Account, *, now: int) -> None:
    """Record how long after the provider's event a token says it. Long after a change, tokens are renewals."""
    changed_at, reported_at = account.access_changed_at, account.reported_at
    if changed_at is not None and reported_at is not None and now - changed_at <= AFTER_A_CHANGE_S:
        metrics.time("TokenTime", max(0, now - reported_at) * 1000)
