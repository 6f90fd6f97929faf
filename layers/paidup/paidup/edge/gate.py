"""The gate: lets a customer in by their billing token, in any Lambda function, as a function or as an authorizer.

In the mode `claims` the token decides, without any read. In the mode `fresh` its billing version is held against the
account's by one small read, which is kept for half a second. Before it denies, the gate looks once more: a customer
who has just paid is let in by an old token.
"""

import json
import time
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from aws_lambda_powertools.utilities.typing import LambdaContext
from paidup_gate import (
    BillingClaims,
    BillingKeys,
    KeysUnavailable,
    bearer,
    keys_of,
    verify,
)
from paidup_gate import (
    InvalidBillingToken as BadToken,
)

from paidup.edge import clock, settings
from paidup.edge.http import Event, Handler
from paidup.model.access import Access
from paidup.model.account import Account
from paidup.model.errors import Refusal
from paidup.model.gate import AccessRequired, AccessUnknown, Admission, Admitted, InvalidBillingToken
from paidup.outside import metrics
from paidup.outside.dynamo import access
from paidup.outside.dynamo.access import AccessTable, TableUnreachable
from paidup.outside.log import logger

# Half of the second within which access must end: the other half is the webhook's. See docs/decisions/0050.
KEPT_S = 0.5
BLIND_S = 1.0
MOST_KEPT = 1_000

type Mode = Literal["claims", "fresh"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the table said of a customer at the monotonic second `at`; `account` is None if it did not answer."""

    account: Account | None
    consistent: bool
    at: float


class Gate:
    """One gate, for the life of a process. It keeps at most 1,000 looks at the table, each for half a second."""

    def __init__(self, keys: BillingKeys, *, issuer: str, audience: str, table: AccessTable | None, mode: Mode) -> None:
        """Let in by tokens that *issuer* signed with *keys* for *audience*. The mode `fresh` needs a *table*."""
        if mode == "fresh" and table is None:
            raise ValueError("A fresh gate needs a table.")
        self._keys, self._issuer, self._audience = keys, issuer, audience
        self._table, self._mode = table, mode
        self._looks: OrderedDict[str, Look] = OrderedDict()

    def admit(self, authorization: str | None, *offer_ids: str, now: int) -> Admission:
        """Return the customer whose billing token is in *authorization*, if they may use one of *offer_ids* at *now*.

        Without *offer_ids*, any access is enough. Raises InvalidBillingToken, AccessRequired, and AccessUnknown in an
        outage that leaves the question open.
        """
        try:
            return self._admitted(authorization, offer_ids, now)
        except Refusal as refusal:
            metrics.count("GateDenied", reason=refusal.slug)
            raise

    def _admitted(self, authorization: str | None, offer_ids: Collection[str], now: int) -> Admission:
        claims = self._claims(authorization, now)
        table, who, look = self._table, claims.customer_id, None
        if table and self._mode == "fresh":
            look = self._look(table, who, consistent=False)
        admission = _newest(claims, look, now)
        if admission.opens(*offer_ids):
            return admission
        if table is None:
            raise AccessRequired(*offer_ids)
        if look is None or not look.consistent:
            look = self._look(table, who, consistent=True)
        if look.account is not None:
            admission = _of_account(look.account, now)
            if admission.opens(*offer_ids):
                return admission
        elif claims.truncated:
            raise AccessUnknown("The token does not list everything, and the table does not answer.")
        raise AccessRequired(*offer_ids)

    def _claims(self, authorization: str | None, now: int) -> BillingClaims:
        try:
            token = bearer(authorization)
        except BadToken as bad:
            raise InvalidBillingToken(str(bad), sent=False) from None
        try:
            return verify(token, self._keys, issuer=self._issuer, audience=self._audience, now=now)
        except BadToken as bad:
            raise InvalidBillingToken(str(bad)) from bad
        except KeysUnavailable as away:
            raise AccessUnknown("The keys of billing tokens cannot be read.") from away

    def _look(self, table: AccessTable, customer_id: str, *, consistent: bool) -> Look:
        """Return what *table* says, or said half a second ago. While it does not answer, it is asked once a second.

        A look that was not *consistent* is no answer to a question that must be.
        """
        at = time.monotonic()
        for whose, kept_s in ((customer_id, KEPT_S), ("", BLIND_S)):
            kept = self._looks.get(whose)
            if kept and at - kept.at < kept_s and (kept.consistent or not consistent):
                return kept
        try:
            account = table.account(customer_id, consistent=consistent)
        except TableUnreachable as away:
            metrics.count("GateTableUnreachable")
            logger.warning("gate.blind", why=str(away))
            return self._keep("", Look(account=None, consistent=True, at=time.monotonic()))
        return self._keep(customer_id, Look(account=account, consistent=consistent, at=at))

    def _keep(self, customer_id: str, look: Look) -> Look:
        """Keep *look* as the newest. No customer is called "": there the outage of the table is kept."""
        self._looks[customer_id] = look
        self._looks.move_to_end(customer_id)
        if len(self._looks) > MOST_KEPT:
            self._looks.popitem(last=False)
        return look


def gate(*, mode: Mode = "fresh", own: str = "") -> Gate:
    """Return the gate that the settings describe, one a process.

    `PAIDUP_BILLING_ISSUER` and `PAIDUP_BILLING_AUDIENCE` say whose tokens are taken; `PAIDUP_TABLE` names the table. In
    the mode `claims` the table may be missing. *own* is the issuer if the settings name none.
    """
    name = settings.text("PAIDUP_TABLE") if mode == "fresh" else settings.optional("PAIDUP_TABLE")
    return connect(settings.billing_issuer(own), settings.text("PAIDUP_BILLING_AUDIENCE"), name, mode)


def authorizer(*offer_ids: str, mode: Mode = "fresh") -> Handler:
    """Return the handler of a Lambda authorizer (HTTP API, payload 2.0, simple responses) for another API of the shop.

    It lets in customers who may use one of *offer_ids*; without any, all who have access to something. The function
    behind finds `customer_id`, `billing_version` and `access` (JSON) in `requestContext.authorizer.lambda`. API Gateway
    answers 403 to others, and 500 if access cannot be checked.
    """

    def handler(event: Event, context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
        headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
        try:
            admission = gate(mode=mode).admit(headers.get("authorization"), *offer_ids, now=clock.now())
        except AccessUnknown:
            raise
        except Refusal as refusal:
            logger.info("caller.refused", kind=refusal.slug, why=str(refusal))
            return {"isAuthorized": False, "context": {"refused": refusal.slug}}
        allowed = {
            "customer_id": admission.customer_id,
            "billing_version": admission.billing_version,
            "access": json.dumps([{"offer_id": one.offer_id, "until": one.until} for one in admission.access]),
        }
        return {"isAuthorized": True, "context": allowed}

    return handler


@cache
def connect(issuer: str, audience: str, table: str, mode: Mode) -> Gate:
    """Return the gate for tokens of *issuer*, with its keys, its table (none: "") and what it keeps, one a process."""

    def unreadable(error: Exception, at_hand: int) -> None:
        logger.error("keys.unreadable", url=issuer, why=type(error).__name__, at_hand=at_hand)

    keys = keys_of(issuer, on_failure=unreadable)
    return Gate(keys, issuer=issuer, audience=audience, table=access.connect(table) if table else None, mode=mode)


def _newest(claims: BillingClaims, look: Look | None, now: int) -> Admission:
    """Return what the newer of the two says. A look that lags behind the token says nothing."""
    if look is None or look.account is None or look.account.billing_version < claims.version:
        return _of_claims(claims)
    return _of_account(look.account, now)


def _of_claims(claims: BillingClaims) -> Admission:
    access = tuple(
        Admitted(offer_id=one.offer_id, kind=one.kind, status=one.status, quantity=one.quantity, until=one.until)
        for one in claims.access
    )
    return Admission(customer_id=claims.customer_id, billing_version=claims.version, access=access)


def _of_account(account: Account, now: int) -> Admission:
    found = tuple(map(_admitted, account.current_access(now=now)))
    return Admission(customer_id=account.customer_id, billing_version=account.billing_version, access=found)


def _admitted(access: Access) -> Admitted:
    return Admitted(
        offer_id=access.offer_id,
        kind=access.kind.value,
        status=access.status.value,
        quantity=access.quantity,
        until=access.until,
        purchase_id=access.purchase_id,
        uses=access.uses,
        uses_left=access.uses_left,
    )
