"""Refusals: every answer with which paidup refuses a request. Each class composes its own sentence.

Refusal                     base: status, title, what the caller can do next
├── Malformed, BrokenJson 422  a field is wrong, or the body is not JSON
├── NotFound           404  the thing does not exist, or is not the caller's
├── Unauthorized       401  no identity token
│   └── InvalidToken   401  the identity token is not valid
├── IdentityUnavailable 503 the identity provider's keys cannot be read; trying again helps
├── Forbidden          403  the caller lacks the role for this route
├── BadSignature       400  the provider did not sign the webhook
├── TooLarge           413  the body is over its limit
├── TooManyRequests    429  with Retry-After
├── Conflict           409  the caller must choose
├── ProviderUnavailable 503 the provider did not answer; trying again helps
│   └── RateLimited    503  the provider was asked too often
├── ProviderRefused    502  the provider refused; trying again does not help
├── NotYetKnown        503  the customer of a provider's object is not known yet; trying again helps
└── Contended          503  too many writers at once for one customer

BudgetSpent is none of them: flows end it, and no client sees it.
"""

from collections.abc import Mapping
from types import MappingProxyType


class Refusal(Exception):
    """Base of all refusals: a `status` (HTTP), a `title`, a sentence, and what the caller can do next.

    `members` are further members of the problem, for programs. `slug` ends the problem's `type`
    (`urn:paidup:problem:<slug>`). Clients compare the slug, so it is a literal.
    """

    slug = "refusal"
    status = 400
    title = "Refused"
    next_step = "Correct the request and send it again."
    retryable = False
    retry_after_s: int | None = None
    members: Mapping[str, str] = MappingProxyType({})


class Malformed(Refusal):
    """A field of the request is wrong. `field` is its dotted path, and `why` a clause that follows it."""

    slug = "malformed"
    status = 422
    title = "The request is malformed"

    def __init__(self, field: str, why: str) -> None:
        """Refuse *field* because *why* (a clause that follows the field's name)."""
        self.field, self.why = field, why
        self.members = {"field": field}
        super().__init__(f"{field}: {why}")


class UnknownOffer(Malformed):
    """The requested offer is not on sale."""

    slug = "unknown-offer"
    title = "There is no such offer"
    next_step = "Take an offer_id from GET /offers."

    def __init__(self, offer_id: str) -> None:
        """Refuse *offer_id*."""
        super().__init__("offer_id", f"there is no offer {offer_id!r}")


class NotFound(Refusal):
    """The thing does not exist, or is not the caller's. Both look the same, so that ids cannot be probed."""

    slug = "not-found"
    status = 404
    title = "Not found"
    next_step = "Check the id; what belongs to another customer is not shown."

    def __init__(self, what: str, an_id: str) -> None:
        """Refuse to show the *what* called *an_id*."""
        super().__init__(f"There is no {what} {an_id!r} for this customer.")


class Unauthorized(Refusal):
    """The request carries no identity token. `challenge` is the WWW-Authenticate header of the answer (RFC 6750)."""

    slug = "unauthorized"
    status = 401
    title = "Sign in first"
    next_step = "Send a valid identity token as 'Authorization: Bearer …'."

    def __init__(self, why: str = "The request carries no identity token.") -> None:
        """Refuse because *why* (a sentence)."""
        super().__init__(why)

    @property
    def challenge(self) -> str:
        """The scheme that the client must use. Without a token there is no error code (RFC 6750, section 3.1)."""
        return "Bearer"


class InvalidToken(Unauthorized):
    """The identity token is not valid: forged, expired, or made for another audience."""

    slug = "invalid-token"
    title = "The identity token is not valid"
    next_step = "Sign in again, and send the new identity token as 'Authorization: Bearer …'."

    def __init__(self, why: str) -> None:
        """Refuse because *why* (a sentence in ASCII, without quotes and without any part of the token)."""
        super().__init__(why)

    @property
    def challenge(self) -> str:
        """The scheme that the client must use, and what is wrong with its token."""
        return f'Bearer error="invalid_token", error_description="{self}"'


class IdentityUnavailable(Refusal):
    """The identity provider's keys cannot be read. This is an outage, and not the caller's fault."""

    slug = "identity-unavailable"
    status = 503
    title = "Nobody can be identified at the moment"
    next_step = "Try again in a few seconds; there is no need to sign in again."
    retryable = True
    retry_after_s = 5

    def __init__(self, why: str = "The identity provider's keys cannot be read.") -> None:
        """Refuse because *why* (a sentence)."""
        super().__init__(why)


class BadSignature(Refusal):
    """The webhook's signature is missing, wrong, too old, or from the future."""

    slug = "bad-signature"
    status = 400
    title = "The webhook's signature does not verify"
    next_step = "Check that the endpoint's signing secret is among the configured webhook secrets."

    def __init__(self, why: str) -> None:
        """Refuse because *why* (a sentence)."""
        super().__init__(why)


class BrokenJson(Refusal):
    """The body is not JSON, or its JSON has the wrong shape."""

    slug = "broken-json"
    status = 422
    title = "The body is not JSON"
    next_step = "Send one JSON object, encoded as UTF-8."


class TooLarge(Refusal):
    """The body is over its limit (bytes)."""

    slug = "too-large"
    status = 413
    title = "The body is too large"
    next_step = "Send less."

    def __init__(self, size: int, limit: int) -> None:
        """Refuse a body of *size* bytes, because *limit* bytes are allowed."""
        super().__init__(f"The body has {size} bytes; {limit} are allowed.")


class TooManyRequests(Refusal):
    """The caller asks too often. After `retry_after_s` seconds the request is allowed again."""

    slug = "too-many-requests"
    status = 429
    title = "Too many requests"
    retryable = True

    def __init__(self, why: str, *, retry_after_s: int) -> None:
        """Refuse because *why* (a sentence) until *retry_after_s* seconds have passed."""
        self.retry_after_s = retry_after_s
        self.next_step = f"Try again in {retry_after_s} s."
        super().__init__(why)


class Conflict(Refusal):
    """The state of a thing does not allow the request. The sentence says why, and `next_step` what to choose from."""

    slug = "conflict"
    status = 409
    title = "The thing has moved on"


class Forbidden(Refusal):
    """The caller lacks the role for this route."""

    slug = "forbidden"
    status = 403
    title = "Not for this role"
    next_step = "Sign in with an account that has the role."

    def __init__(self, role: str) -> None:
        """Refuse because the caller lacks *role*."""
        super().__init__(f"This needs the role {role!r}.")


class SecondNotOver(Refusal):
    """Two states of one second differ, and the second is not over: only an answer from a later second can decide."""

    slug = "second-not-over"
    status = 503
    title = "The provider said two things in one second"
    next_step = "Try again in two seconds."
    retryable = True
    retry_after_s = 2

    def __init__(self, register: str) -> None:
        """Report that *register* cannot be decided yet."""
        super().__init__(f"Two states of {register} are of the same second, which is not over.")


class ProviderUnavailable(Refusal):
    """The payment provider did not answer in time, or reported an outage. Trying again helps."""

    slug = "provider-unavailable"
    status = 503
    title = "The payment provider does not answer"
    next_step = "Try again in a few seconds; nothing was charged, and what you chose is kept."
    retryable = True
    retry_after_s = 5

    def __init__(self, provider: str, what: str) -> None:
        """Report that *provider* failed at *what* (a clause, without secrets)."""
        super().__init__(f"{provider} did not answer: {what}.")


class RateLimited(ProviderUnavailable):
    """The payment provider was asked too often. Clients see the slug `provider-unavailable`."""

    def __init__(self, provider: str, what: str, *, retry_after_s: int | None = None) -> None:
        """Report that *provider* refused *what* as one request too many, for *retry_after_s* seconds if it said so."""
        self.retry_after_s = retry_after_s or self.retry_after_s
        super().__init__(provider, what)


class BudgetSpent(Exception):
    """We have asked the payment provider as often as we may. Nothing failed: what waits is asked for later.

    It is no Refusal: no client sees it, and who goes on after a refusal must not go on asking.
    """

    slug = "budget-spent"

    def __init__(self, provider: str, *, retry_after_s: int) -> None:
        """Report that *provider* may be asked again after *retry_after_s* seconds."""
        self.retry_after_s = retry_after_s
        super().__init__(f"{provider} may be asked again in {retry_after_s} s.")


class ProviderRefused(Refusal):
    """The payment provider refused (a bad key, a wrong parameter). Trying again does not help."""

    slug = "provider-refused"
    status = 502
    title = "The payment provider refused"
    next_step = "Trying again will not help until the shop mends its set-up; what you chose is kept."

    def __init__(self, provider: str, what: str) -> None:
        """Report that *provider* refused *what* (a clause, without secrets)."""
        super().__init__(f"{provider} refused: {what}.")


class ObjectMissing(ProviderRefused):
    """The provider has no such object. Clients see the slug `provider-refused`."""


class IdempotencyKeySpent(ProviderUnavailable):
    """The idempotency key is used up at the provider for a day. The next try needs another key.

    Clients see the slug `provider-unavailable`.
    """


class NotYetKnown(Refusal):
    """The customer of a provider's object is not known yet. Trying again later may help."""

    slug = "not-yet-known"
    status = 503
    title = "Not known yet"
    retryable = True

    def __init__(self, ref: str) -> None:
        """Report that the provider's object *ref* belongs to no known customer so far."""
        super().__init__(f"{ref} belongs to no known customer yet.")


class Contended(Refusal):
    """There are too many writers at once for one customer. Trying again helps."""

    slug = "contended"
    status = 503
    title = "Busy"
    next_step = "Try again in a second."
    retryable = True
    retry_after_s = 1

    def __init__(self, customer_id: str) -> None:
        """Report that every attempt to write for *customer_id* lost its race."""
        super().__init__(f"Too many changes at once for customer {customer_id!r}.")
