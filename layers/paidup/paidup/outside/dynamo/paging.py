"""Page tokens: where the next page of a list begins. Tokens are opaque to callers, and name no customer."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass

from paidup.model.errors import Malformed

WRONG = "is not a page token; take `next` of the page before"
LARGEST = 10**12


@dataclass(frozen=True, slots=True, kw_only=True)
class PageToken:
    """The last thing of a page: the list that it is in (`of`), its sort value (`at`) and its id."""

    of: str
    at: int
    an_id: str

    def encode(self) -> str:
        """Return the token as text for callers: URL-safe base64."""
        return urlsafe_b64encode(json.dumps([self.of, self.at, self.an_id]).encode()).decode()


def decode(token: str, *, of: str) -> PageToken:
    """Return the page token in the text *token*. Raises Malformed if it is none, or not of the list *of*."""
    try:
        name, at, an_id = json.loads(urlsafe_b64decode(token.encode()))
    except (ValueError, TypeError, RecursionError) as error:
        raise Malformed("after", WRONG) from error
    well_formed = isinstance(an_id, str) and 0 < len(an_id) <= 255 and type(at) is int and abs(at) <= LARGEST
    if not well_formed or not an_id.isascii():
        raise Malformed("after", WRONG)
    if name != of:
        raise Malformed("after", "is the page of another list")
    return PageToken(of=of, at=at, an_id=an_id)
