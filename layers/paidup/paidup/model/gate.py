"""The gate: who is let in to what was paid for, and the refusals of those who are not."""

from dataclasses import dataclass

from paidup.model.errors import Refusal, Unauthorized


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """What the customer may use now, of one offer or of several. `purchase_id` and the uses are known if the table
    was asked, and unknown if the token alone decided. `until` is in epoch seconds (None: for good).
    """

    offer_id: str
    kind: str
    status: str
    quantity: int
    until: int | None = None
    purchase_id: str | None = None
    uses: int | None = None
    uses_left: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """A customer who was let in, by the access that they have as of `billing_version`."""

    customer_id: str
    billing_version: int
    access: tuple[Admitted, ...]

    def opens(self, *offer_ids: str) -> bool:
        """Whether the customer may use one of the offers *offer_ids*; without any: whether they may use anything."""
        return any(not offer_ids or one.offer_id in offer_ids for one in self.access)


class InvalidBillingToken(Unauthorized):
    """The billing token is missing or not valid: forged, expired, or made for another audience."""

    slug = "invalid-billing-token"
    title = "The billing token is not valid"
    next_step = "Get a billing token by POST /billing-token, and send it as 'Authorization: Bearer …'."

    def __init__(self, why: str, *, sent: bool = True) -> None:
        """Refuse because *why* (a sentence in ASCII, without quotes and without any part of the token)."""
        self.sent = sent
        super().__init__(why)

    @property
    def challenge(self) -> str:
        """The scheme that the client must use, and what is wrong with the token if one was sent."""
        return f'Bearer error="invalid_token", error_description="{self}"' if self.sent else "Bearer"


class AccessRequired(Refusal):
    """The customer may not use what was asked for now."""

    slug = "access-required"
    status = 403
    title = "Access is required"

    def __init__(self, *offer_ids: str) -> None:
        """Refuse because the customer has none of the offers *offer_ids*, or nothing at all."""
        one_of = " or ".join(repr(one) for one in offer_ids)
        self.next_step = (
            f"Buy {one_of or 'an offer'} by POST /payment-tokens. If it was paid a moment ago, ask again in a second."
        )
        self.members = {"offer_id": offer_ids[0]} if len(offer_ids) == 1 else {}
        super().__init__(f"The customer has no access to {one_of or 'anything'} now.")


class AccessUnknown(Refusal):
    """Access cannot be checked. This is an outage, and not the caller's fault."""

    slug = "access-unknown"
    status = 503
    title = "Access cannot be checked at the moment"
    next_step = "Try again in a few seconds, with the same billing token."
    retryable = True
    retry_after_s = 5

    def __init__(self, why: str) -> None:
        """Refuse because *why* (a sentence)."""
        super().__init__(why)
