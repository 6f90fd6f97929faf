"""Stand-ins for the providers that paidup talks to: Stripe's API and pages, and an identity provider."""

from tools.fakes.server import Fakes, serve

__all__ = ["Fakes", "serve"]
