"""Stand-ins for what paidup talks to: Stripe, an identity provider, and others in memory."""
