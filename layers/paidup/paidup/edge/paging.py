"""Page tokens: where the next page of a list begins, opaque to the caller."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

from paidup.model.errors import Malformed

KEY = {"pk": str, "sk": str, "ref": str, "ref_at": int}
WRONG = "is not a page token; take `next` of the page before"


def page_token(key: Mapping[str, Any] | None) -> str | None:
    """Return the token of the page that begins after *key*; None where there is none."""
    return urlsafe_b64encode(json.dumps(key, default=int).encode()).decode() if key else None


def page_after(token: str | None) -> Mapping[str, Any] | None:
    """Return the key that *token* stands for. Raises Malformed."""
    if token is None:
        return None
    try:
        key = json.loads(urlsafe_b64decode(token.encode()))
    except ValueError as error:
        raise Malformed("after", WRONG) from error
    if not isinstance(key, dict) or {name: type(value) for name, value in key.items()} != KEY:
        raise Malformed("after", WRONG)
    if not key["pk"] or not key["sk"] or abs(key["ref_at"]) > 10**12:
        raise Malformed("after", WRONG)
    return key
