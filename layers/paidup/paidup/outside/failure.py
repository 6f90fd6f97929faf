"""Failures as people read them later: a sentence and a traceback, both bounded, without secrets and addresses."""

import re
from traceback import format_exception

LONGEST_SENTENCE = 500
LONGEST_TRACEBACK = 6_000
ADDRESS = re.compile(r"[^\s@'\"<>=:/]+@[^\s@'\"<>]+\.\w+")
# Keys and signing secrets of providers, access keys of AWS, bearer tokens, and JSON web tokens.
SECRET = re.compile(
    r"\b(?:[a-z]{2}_(?:test|live)_\w+|whsec_[\w+/=]+|A[KS]IA[A-Z0-9]{12,}|Bearer\s+\S+|eyJ[\w-]+\.[\w.-]+)"
)
CARD = re.compile(r"\b\d(?:[ -]?\d){12,18}\b")


def sentence_of(error: BaseException) -> str:
    """Return the name of *error*'s class and its words."""
    return scrubbed(f"{type(error).__name__}: {error}")[:LONGEST_SENTENCE]


def traceback_of(error: BaseException) -> str:
    """Return where *error* was raised, and what it came from. The end says most, so a long one loses its beginning."""
    text = scrubbed("".join(format_exception(error)).strip())
    return text if len(text) <= LONGEST_TRACEBACK else f"…{text[1 - LONGEST_TRACEBACK :]}"


def scrubbed(text: str) -> str:
    """Return *text* with words in place of secrets, cards and e-mail addresses."""
    return CARD.sub("(a number)", ADDRESS.sub("(an address)", SECRET.sub("(a secret)", text)))
