"""How Stripe's API speaks: nested forms in, errors, pages of lists, and `expand`."""

import re
from typing import Any
from urllib.parse import parse_qsl

DOCS = "https://stripe.com/docs/error-codes/"


class Refusal(Exception):
    """An error answer of Stripe's API."""

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        type_: str = "invalid_request_error",
        status: int = 400,
        began: bool = False,
        keep: bool = False,
        extra: dict[str, Any] | None = None,
    ) -> None:
        """Compose the answer.

        *began*: execution had begun, so that an idempotency key replays the answer. *keep*: what was written until
        then stays, as with a declined card.
        """
        super().__init__(message)
        self.status, self.began, self.keep = status, began or keep, keep
        body = {"code": code, "doc_url": code and DOCS + code.replace("_", "-"), "message": message}
        body |= {"param": param, "type": type_, **(extra or {})}
        self.error = {key: value for key, value in sorted(body.items()) if value is not None}


def missing(param: str) -> Refusal:
    """Refuse a request that lacks *param*."""
    return Refusal(f"Missing required param: {param}.", code="parameter_missing", param=param)


def cannot_be_unset(param: str) -> Refusal:
    """Refuse an empty string for a *param* that cannot be emptied."""
    message = (
        f"You passed an empty string for '{param}'. We assume empty values are an attempt to unset a parameter; "
        f"however '{param}' cannot be unset. You should remove '{param}' from your request or supply a "
        "non-empty value."
    )
    return Refusal(message, code="parameter_invalid_empty", param=param)


def no_such(what: str, id_: str, param: str, *, status: int = 400) -> Refusal:
    """Refuse an id that is not there: 404 if it is in the path, 400 if it is a parameter."""
    message = f"No such {what}: '{id_}'"
    return Refusal(message, code="resource_missing", param=param, status=status)


def unrecognized(method: str, path: str) -> Refusal:
    """Refuse a URL that the API does not have."""
    message = (
        f"Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs or we can help at "
        "https://support.stripe.com/."
    )
    return Refusal(message, status=404)


def decode(body: str) -> dict[str, Any]:
    """Return the nested values of a form or query: `a[b][]=1` is `{"a": {"b": {"0": "1"}}}`."""
    values: dict[str, Any] = {}
    for key, value in parse_qsl(body, keep_blank_values=True):
        head, *rest = re.match(r"[^\[]*", key)[0], *re.findall(r"\[([^\]]*)\]", key)  # type: ignore[index]  # it always matches
        place, name = values, head
        for part in rest:
            inner = place.setdefault(name, {})
            if not isinstance(inner, dict):
                raise Refusal(f"Invalid parameter: {key} is both a value and a hash", param=head)
            place, name = inner, part or str(len(inner))
        place[name] = value
    return values
