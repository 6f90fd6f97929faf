"""Stripe: the only code that knows its objects, its ids and its API."""
