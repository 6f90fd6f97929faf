"""Settings: which environment variables there are, and one sentence that names a wrong or missing one."""

import os
from dataclasses import replace
from urllib.parse import urlsplit

from paidup.model.policy import DAY_S, Policy


class WrongSetting(Exception):
    """A setting is missing or wrong; the message names it."""


def text(name: str) -> str:
    """Return the setting *name*; raises WrongSetting when it is missing or empty."""
    value = os.environ.get(name, "").strip()
    if not value:
        raise WrongSetting(f"The setting {name} is missing.")
    return value


def optional(name: str) -> str:
    """Return the setting *name*, or nothing."""
    return os.environ.get(name, "").strip()


def seconds(name: str, default: int, *, least: int, most: int) -> int:
    """Return the setting *name* in seconds, from *least* to *most*."""
    value = optional(name) or str(default)
    if not value.isdecimal() or not least <= int(value) <= most:
        raise WrongSetting(
            f"The setting {name} must be a whole number of seconds from {least} to {most}, not {value!r}."
        )
    return int(value)


def whole(name: str, default: int, *, least: int, most: int) -> int:
    """Return the setting *name*, a whole number from *least* to *most*."""
    value = optional(name) or str(default)
    if not value.isdecimal() or not least <= int(value) <= most:
        raise WrongSetting(f"The setting {name} must be a whole number from {least} to {most}, not {value!r}.")
    return int(value)


def choice(name: str, default: str, *others: str) -> str:
    """Return the setting *name*, which is *default* or one of *others*."""
    value = optional(name) or default
    if value not in (default, *others):
        raise WrongSetting(f"The setting {name} must be one of {', '.join((default, *others))}, not {value!r}.")
    return value


def billing_issuer(own: str) -> str:
    """Return the `iss` of billing tokens: the setting's, or *own* without one, the URL of the API that is asked.

    Raises WrongSetting if there is neither.
    """
    name = "PAIDUP_BILLING_ISSUER"
    return (optional(name) or own) if own else text(name)


def origins() -> tuple[str, ...]:
    """Return the origins that may call the API and be returned to, such as `https://shop.example`; browsers spell them
    in lower case.
    """
    listed = text("PAIDUP_ALLOWED_ORIGINS")
    found = tuple(one.strip().rstrip("/") for one in listed.split(",") if one.strip())
    for one in found or (listed,):
        if not _is_origin(one):
            raise WrongSetting(f"The setting PAIDUP_ALLOWED_ORIGINS must list origins like https://a.b, not {one!r}.")
    return tuple(one.lower() for one in found)


def _is_origin(text: str) -> bool:
    try:
        parts = urlsplit(text)
        whole = text.lower() == f"{parts.scheme}://{parts.netloc}".lower()
        return whole and parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in text
    except ValueError:
        return False


def policy() -> Policy:
    """Return the numbers of the business, from the environment or their defaults."""
    usual = Policy()
    per_second = whole("PAIDUP_READS_PER_SECOND", usual.reads.per_second, least=2, most=10_000)
    return Policy(
        checkout_lifetime_s=seconds("PAIDUP_CHECKOUT_LIFETIME_S", usual.checkout_lifetime_s, least=1_800, most=DAY_S),
        grace_s=seconds("PAIDUP_GRACE_S", usual.grace_s, least=0, most=60 * DAY_S),
        event_retention_s=seconds(
            "PAIDUP_EVENT_RETENTION_S", usual.event_retention_s, least=35 * DAY_S, most=3_650 * DAY_S
        ),
        accept_within_s=seconds("PAIDUP_ACCEPT_WITHIN_S", usual.accept_within_s, least=60, most=DAY_S),
        refund_duplicate_payments=choice("PAIDUP_DUPLICATE_PAYMENTS", "refund", "keep") == "refund",
        credit_unaccepted_bookings=choice("PAIDUP_UNACCEPTED_BOOKINGS", "refund", "credit") == "credit",
        keep_paused_collection=choice("PAIDUP_PAUSED_COLLECTION", "end", "keep") == "keep",
        grant_pending_debits=choice("PAIDUP_PENDING_DEBITS", "wait", "grant") == "grant",
        reads=replace(
            usual.reads,
            per_second=per_second,
            for_polls=per_second // 2,
            least_a_month=whole("PAIDUP_READS_PER_MONTH", usual.reads.least_a_month, least=10_000, most=1_000_000_000),
        ),
        cancel_now=choice("PAIDUP_CANCEL_NOW", "refuse", "allow") == "allow",
    )


def require(*names: str) -> None:
    """Check when a function starts that the settings *names* are there and that the policy numbers make sense."""
    for name in names:
        text(name)
    policy()
