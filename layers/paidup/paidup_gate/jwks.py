"""Public keys that lie at a URL (JWKS): fetched when first needed, kept for minutes, and never fetched in a storm."""

import time
from collections.abc import Callable, Mapping
from http.client import HTTPException
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from urllib.error import HTTPError
from urllib.request import Request, urlopen

KEPT_S = 300.0
REFETCH_AFTER_S = 5.0
FETCH_WITHIN_S = 2.0
MOST_BYTES = 256 * 1024
# no answer, half an answer, or one that is no set of keys
UNREADABLE = (OSError, HTTPException, ValueError, TypeError, AttributeError, RecursionError)


class KeysUnavailable(Exception):
    """The keys cannot be read now, so nothing can be said of a token. This is an outage, and not the caller's fault."""


class KeySet[Key]:
    """The keys at `url`, by their `kid`. One object serves all threads of a process."""

    def __init__(
        self,
        url: str,
        read: Callable[[bytes], Mapping[str, Key]],
        *,
        on_failure: Callable[[Exception, int], None] = lambda _error, _at_hand: None,
    ) -> None:
        """Take the keys at *url*; nothing is fetched yet.

        *read* returns the keys in a JWKS document, and raises ValueError if it is none. *on_failure* hears why the keys
        could not be fetched, and how many older ones are at hand.
        """
        self.url = url
        self._read, self._on_failure = read, on_failure
        self._keys: Mapping[str, Key] = {}
        self._fetched_at = self._asked_at = float("-inf")
        self._one_at_a_time = Lock()

    def get(self, kid: str) -> Key | None:
        """Return the key called *kid*, or None if there is no such key.

        The keys are fetched if they are 5 minutes old or *kid* is unknown, but at most every 5 s, however many ask and
        whether they could be read or not. While they cannot be read, the keys at hand are used.

        Raises KeysUnavailable if *kid* is unknown and the last fetch failed.
        """
        with self._one_at_a_time:
            now = time.monotonic()
            wanted = kid not in self._keys or now - self._fetched_at > KEPT_S
            if wanted and now - self._asked_at > REFETCH_AFTER_S:
                self._fetch()
            if kid in self._keys:
                return self._keys[kid]
            if self._fetched_at < self._asked_at:
                raise KeysUnavailable(f"The keys at {self.url} cannot be read.")
            return None

    def _fetch(self) -> None:
        """Fetch the keys within 2 s; the ones at hand are kept if that fails."""
        try:
            self._keys = self._read(_fetched_in_time(self.url))
            self._asked_at = self._fetched_at = time.monotonic()
        except UNREADABLE as error:
            self._asked_at = time.monotonic()
            self._on_failure(error, len(self._keys))


def _fetched_in_time(url: str) -> bytes:
    """Return what lies at *url*, within 2 s in all: a time-out alone would hold for every piece of the answer anew."""
    answer: SimpleQueue[bytes | Exception] = SimpleQueue()
    Thread(target=lambda: answer.put(_fetched(url)), daemon=True).start()
    try:
        found = answer.get(timeout=FETCH_WITHIN_S)
    except Empty:
        raise TimeoutError(f"no keys within {FETCH_WITHIN_S} s") from None
    if isinstance(found, Exception):
        raise found
    return found


def _fetched(url: str) -> bytes | Exception:
    """Return what lies at *url*, or why it could not be fetched."""
    try:
        with urlopen(Request(url, headers={"Accept": "application/json"}), timeout=FETCH_WITHIN_S) as answer:  # noqa: S310 - the URL is a setting
            return bytes(answer.read(MOST_BYTES))
    except HTTPError as refused:
        refused.close()
        return refused
    except (OSError, HTTPException, ValueError) as error:
        return error
