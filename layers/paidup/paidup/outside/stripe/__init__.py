"""Stripe: the only package that knows Stripe's objects, ids and API."""
