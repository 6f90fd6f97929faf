"""DynamoDB's refusals, as botocore raises them."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError


class ValidationException(ClientError):
    """What is asked for makes no sense, or exceeds a limit."""


class ResourceNotFoundException(ClientError):
    """There is no such table."""


class ConditionalCheckFailedException(ClientError):
    """The condition of a single write does not hold."""


class TransactionCanceledException(ClientError):
    """Nothing of a transaction was written. The reasons say why, one for each of its items."""


exceptions = SimpleNamespace(
    ResourceNotFoundException=ResourceNotFoundException,
    ConditionalCheckFailedException=ConditionalCheckFailedException,
    TransactionCanceledException=TransactionCanceledException,
)
"""What a client offers as `client.exceptions`."""


def invalid(message: str) -> ValidationException:
    """Return the refusal of a request that makes no sense."""
    return _refusal(ValidationException, message)


def no_such_table() -> ResourceNotFoundException:
    """Return the refusal of a request about another table."""
    return _refusal(ResourceNotFoundException, "Requested resource not found")


def condition_failed(there: dict[str, Any] | None = None) -> ConditionalCheckFailedException:
    """Return the refusal of a single write whose condition does not hold, with the item that is *there*."""
    told = {"Item": there} if there else {}
    return _refusal(ConditionalCheckFailedException, "The conditional request failed", **told)


def canceled(reasons: Sequence[ClientError | None]) -> TransactionCanceledException:
    """Return the refusal of a whole transaction for *reasons*, one for each of its items (None: nothing wrong)."""
    told = [_reason(one) for one in reasons]
    codes = ", ".join(one["Code"] for one in told)
    message = f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]"
    return _refusal(TransactionCanceledException, message, CancellationReasons=told)


def _reason(refusal: ClientError | None) -> dict[str, str]:
    if refusal is None:
        return {"Code": "None"}
    failed = isinstance(refusal, ConditionalCheckFailedException)
    code = "ConditionalCheckFailed" if failed else "ValidationError"
    return {"Code": code, "Message": refusal.response["Error"]["Message"]}


def _refusal[T: ClientError](kind: type[T], message: str, **more: Any) -> T:
    error = {"Code": kind.__name__, "Message": message}
    answer: Any = {"Error": error, "ResponseMetadata": {"HTTPStatusCode": 400}, **more}
    return kind(answer, "")
