"""Where a buyer may be sent back to: nowhere but the origins that the settings allow."""

from urllib.parse import urlsplit

from paidup.edge import settings
from paidup.model.refusal import Malformed


def return_url(field: str, url: str | None, *, default: str) -> str:
    """Return *url* if it lies in an allowed origin, or the path *default* in the first one when there is none.

    Raises Malformed, naming *field*, for any other place: an open redirect would lend the shop's name to anyone.
    """
    origins = settings.origins()
    if url is None:
        return origins[0] + default
    parts = urlsplit(url)
    if parts.username or parts.password or f"{parts.scheme}://{parts.netloc}".lower() not in origins:
        raise Malformed(field, f"must begin with one of {', '.join(origins)}")
    return url
