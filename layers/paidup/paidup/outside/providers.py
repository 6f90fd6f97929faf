"""Which payment providers there are, and how each is connected: the only list of their names."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from paidup.model.provider import Known, Provider

# A provider's module is imported when the provider is first asked for: most functions never are.
MODULES = {"stripe": "paidup.outside.stripe.provider"}
NAMES = tuple(MODULES)


def connect(name: str, read_secret: Callable[[str], Mapping[str, Any]], base: str, known: Known) -> Provider:
    """Return the provider called *name*.

    *read_secret* returns the provider's JSON secret with the field that it is called with. *base* is the address of a
    stand-in, or nothing. *known* knows the offers on sale.
    """
    provider: Provider = import_module(MODULES[name]).connect(read_secret, base, known)
    return provider
