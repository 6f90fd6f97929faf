"""Where a buyer may be sent back to: nowhere but the origins that the settings allow."""

from urllib.parse import urlsplit

from paidup.edge import settings
from paidup.model.errors import Malformed


def return_url(field: str, url: str | None, *, default: str) -> str:
    """Return *url* if it lies in an allowed origin, or the path *default* in the first one when there is none.

    Raises Malformed, naming *field*, for any other place: an open redirect would lend the shop's name to anyone.
    """
    origins = settings.origins()
    if url is None:
        return origins[0] + default
    if _origin(url) not in origins:
        raise Malformed(field, f"must begin with one of {', '.join(origins)}")
    return url


def _origin(url: str) -> str | None:
    """Return the origin that every browser finds in *url*; None where they may differ, or may not read it at all."""
    if not url.isprintable() or " " in url or "\\" in url:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return f"{parts.scheme}://{parts.netloc}".lower()
