"""How a function gets its shop: the table, the provider and the policy that its settings name."""

from typing import Annotated

from aws_lambda_powertools.event_handler import Depends

from paidup.edge import settings
from paidup.flows.shop import Shop as _Shop
from paidup.outside import secrets, stripe_account, table

SETTINGS = ("PAIDUP_TABLE", "PAIDUP_STRIPE_SECRET")


def open_shop() -> _Shop:
    """Return the shop; clients are kept for the life of the process, the secret for five minutes."""
    policy = settings.policy()
    secret = secrets.read(settings.text("PAIDUP_STRIPE_SECRET"), "api_key")
    return _Shop(
        table=table.connect(settings.text("PAIDUP_TABLE"), policy),
        stripe=stripe_account.connect(secret["api_key"], settings.optional("PAIDUP_STRIPE_API_BASE")),
        policy=policy,
    )


def webhook_secrets() -> list[str]:
    """Return every active signing secret of Stripe's webhooks: two while one is rolled over."""
    secret = secrets.read(settings.text("PAIDUP_STRIPE_SECRET"), "webhook_secrets")
    return [str(one) for one in secret["webhook_secrets"]]


Shop = Annotated[_Shop, Depends(open_shop)]
