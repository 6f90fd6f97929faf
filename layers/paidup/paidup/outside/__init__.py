"""The only code that talks to others: the table, the queue, Stripe, the identity provider, the secrets."""
