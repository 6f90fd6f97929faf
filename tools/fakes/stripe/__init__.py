"""A stand-in for Stripe: its API, the page on which buyers pay, and its webhooks."""
