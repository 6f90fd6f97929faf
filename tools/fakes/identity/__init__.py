"""A stand-in for an identity provider."""
