"""Refusals: what paidup says no to, as classes that compose their own sentence.

Refusal                     base: status, title, what the caller can do next
├── Malformed, BrokenJson 422  a field is not as it must be
├── NotFound           404  it is not there, or not the caller's
├── Unauthorized       401  no identity token
│   └── InvalidToken   401  an identity token that is not good
├── IdentityUnavailable 503 nobody can say whether a token is good; trying again helps
├── Forbidden          403  the caller's role does not reach this route
├── BadSignature       400  a webhook that its provider did not sign
├── TooLarge           413  a body over its limit
├── TooManyRequests    429  with Retry-After
├── Conflict           409  the caller must choose
├── ProviderUnavailable 503 the provider did not answer; trying again helps
├── ProviderRefused    502  the provider said no; trying again does not help
└── Contended          503  too many writers at once for one customer
"""


class Refusal(Exception):
    """Base of everything paidup refuses: a status (HTTP), a title, a sentence, and what the caller can do next.

    `slug` ends the problem's `type` (`urn:paidup:problem:<slug>`). Clients compare it, so it is a literal of its own.
    """

    slug = "refusal"
    status = 400
    title = "Refused"
    next_step = "Correct the request and send it again."
    retryable = False
    retry_after_s: int | None = None


class Malformed(Refusal):
    """A field of the request is not as it must be; `field` names it (dotted path)."""

    slug = "malformed"
    status = 422
    title = "The request is malformed"

    def __init__(self, field: str, why: str) -> None:
        """Refuse *field* because *why* (a clause that follows the field's name)."""
        self.field = field
        super().__init__(f"{field}: {why}")


class UnknownOffer(Malformed):
    """The offer that was asked for is not sold."""

    slug = "unknown-offer"
    title = "There is no such offer"
    next_step = "Take an offer_id from GET /offers."

    def __init__(self, offer_id: str) -> None:
        """Refuse *offer_id*."""
        super().__init__("offer_id", f"there is no offer {offer_id!r}")


class NotFound(Refusal):
    """It does not exist, or it is not the caller's: the two look alike on purpose."""

    slug = "not-found"
    status = 404
    title = "Not found"
    next_step = "Check the id; what belongs to another customer is not shown."

    def __init__(self, what: str, an_id: str) -> None:
        """Refuse to show the *what* called *an_id*."""
        super().__init__(f"There is no {what} {an_id!r} for this customer.")


class Unauthorized(Refusal):
    """The request carries no identity token. `challenge` is the answer's WWW-Authenticate (RFC 6750)."""

    slug = "unauthorized"
    status = 401
    title = "Sign in first"
    next_step = "Send a valid identity token as 'Authorization: Bearer …'."

    def __init__(self, why: str = "The request carries no identity token.") -> None:
        """Refuse because *why* (a sentence)."""
        super().__init__(why)

    @property
    def challenge(self) -> str:
        """What the client must bring. Who brought no token is not told that it was wrong."""
        return "Bearer"


class InvalidToken(Unauthorized):
    """The request carries an identity token that is not good: forged, expired, or made for somebody else."""

    slug = "invalid-token"
    title = "The identity token is not valid"
    next_step = "Sign in again, and send the new identity token as 'Authorization: Bearer …'."

    def __init__(self, why: str) -> None:
        """Refuse because *why* (a sentence in ASCII, without quotes and without any part of the token)."""
        super().__init__(why)

    @property
    def challenge(self) -> str:
        """What the client must bring, and what is wrong with what it brought."""
        return f'Bearer error="invalid_token", error_description="{self}"'


class IdentityUnavailable(Refusal):
    """The identity provider's keys are not at hand and cannot be read: an outage, not the caller's fault."""

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
    """A webhook whose signature does not verify, is missing, too old, or from the future."""

    slug = "bad-signature"
    status = 400
    title = "The webhook's signature does not verify"
    next_step = "Check that the endpoint's signing secret is among the configured webhook secrets."

    def __init__(self, why: str) -> None:
        """Refuse because *why* (a sentence)."""
        super().__init__(why)


class BrokenJson(Refusal):
    """A body that is not JSON at all, or not the JSON that it must be."""

    slug = "broken-json"
    status = 422
    title = "The body is not JSON"
    next_step = "Send one JSON object, encoded as UTF-8."


class TooLarge(Refusal):
    """A body over its limit (bytes)."""

    slug = "too-large"
    status = 413
    title = "The body is too large"
    next_step = "Send less."

    def __init__(self, size: int, limit: int) -> None:
        """Refuse a body of *size* bytes where *limit* are allowed."""
        super().__init__(f"The body has {size} bytes; {limit} are allowed.")


class TooManyRequests(Refusal):
    """More often than allowed; `retry_after_s` says when it may be tried again (seconds)."""

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
    """The caller must choose; the sentence says between what."""

    slug = "conflict"
    status = 409
    title = "The thing has moved on"


class Forbidden(Refusal):
    """The caller's role does not reach this route."""

    slug = "forbidden"
    status = 403
    title = "Not for this role"
    next_step = "Sign in with an account that has the role."

    def __init__(self, role: str) -> None:
        """Refuse because the caller lacks *role*."""
        super().__init__(f"This needs the role {role!r}.")


class ProviderUnavailable(Refusal):
    """The payment provider did not answer in time, or answered with an outage; trying again helps."""

    slug = "provider-unavailable"
    status = 503
    title = "The payment provider does not answer"
    next_step = "Try again in a few seconds; nothing was charged, and what you chose is kept."
    retryable = True
    retry_after_s = 5

    def __init__(self, provider: str, what: str) -> None:
        """Report that *provider* failed at *what* (a clause, without secrets)."""
        super().__init__(f"{provider} did not answer: {what}.")


class ProviderRefused(Refusal):
    """The payment provider said no (a bad key, a refused parameter); trying again does not help."""

    slug = "provider-refused"
    status = 502
    title = "The payment provider refused"
    next_step = "Trying again will not help until the shop mends its set-up; what you chose is kept."

    def __init__(self, provider: str, what: str) -> None:
        """Report that *provider* refused *what* (a clause, without secrets)."""
        super().__init__(f"{provider} refused: {what}.")


class ObjectMissing(ProviderRefused):
    """The provider has no such object. Clients see a `provider-refused`."""


class IdempotencyKeySpent(ProviderUnavailable):
    """The provider has nothing else to say under this idempotency key for a day: the next try needs another key.

    Clients see a `provider-unavailable`.
    """


class NotYetKnown(Refusal):
    """A provider's object that paidup cannot place yet; asking again later may place it."""

    slug = "not-yet-known"
    status = 503
    title = "Not known yet"
    retryable = True

    def __init__(self, ref: str) -> None:
        """Report that the provider's object *ref* belongs to no known customer so far."""
        super().__init__(f"{ref} belongs to no known customer yet.")


class Contended(Refusal):
    """Too many writers at once for one customer; trying again helps."""

    slug = "contended"
    status = 503
    title = "Busy"
    next_step = "Try again in a second."
    retryable = True
    retry_after_s = 1

    def __init__(self, customer_id: str) -> None:
        """Report that every attempt to write for *customer_id* lost its race."""
        super().__init__(f"Too many changes at once for customer {customer_id!r}.")
