"""How a function gets its shop: the table, the provider and the policy that its settings name."""

from typing import Annotated

from aws_lambda_powertools.event_handler import Depends

from paidup.edge import settings
from paidup.flows.services import Services as _Services
from paidup.outside import secrets
from paidup.outside.dynamo import table
from paidup.outside.stripe import provider

SETTINGS = ("PAIDUP_TABLE", "PAIDUP_STRIPE_SECRET")


def open_services() -> _Services:
    """Return the shop; clients are kept for the life of the process, the secret for five minutes."""
    policy = settings.policy()
    secret = secrets.read(settings.text("PAIDUP_STRIPE_SECRET"), "api_key")
    return _Services(
        table=table.connect(settings.text("PAIDUP_TABLE"), policy),
        stripe=provider.connect(secret["api_key"], settings.optional("PAIDUP_STRIPE_API_BASE")),
        policy=policy,
    )


def webhook_secrets() -> list[str]:
    """Return every active signing secret of Stripe's webhooks: two while one is rolled over."""
    name = settings.text("PAIDUP_STRIPE_SECRET")
    found = secrets.read(name, "webhook_secrets")["webhook_secrets"]
    if not isinstance(found, list) or not all(isinstance(one, str) and one.startswith("whsec_") for one in found):
        raise secrets.BadSecret(f"The secret {name!r} must hold a list of 'whsec_…' as 'webhook_secrets'.")
    return found


Services = Annotated[_Services, Depends(open_services)]
