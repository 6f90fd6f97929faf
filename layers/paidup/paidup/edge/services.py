"""How a function gets its services: the table, the providers and the policy that its settings name."""

from functools import partial

from paidup.edge import clock, settings
from paidup.flows.services import Services
from paidup.model.errors import NotFound
from paidup.model.provider import Provider
from paidup.outside import allowance, providers, queue, secrets
from paidup.outside.dynamo import budget, table
from paidup.outside.queue import Queue

SETTINGS = ("PAIDUP_TABLE", "PAIDUP_STRIPE_SECRET")


def open_services() -> Services:
    """Return the services; clients are kept for the life of the process, secrets for five minutes.

    Whoever is refused by a provider, a purchase or a webhook too, lets all that ask on its read budget wait.
    """
    policy = settings.policy()
    ours = table.connect(settings.text("PAIDUP_TABLE"))
    budgets = budget.connect(ours.client, ours.name)
    allowance.tell(lambda name, after_s: budgets.close(name, policy.reads, after_s, now=clock.now()))
    return Services(
        table=ours,
        provider=provider,
        providers=providers.NAMES,
        webhooks=lambda: queue.connect(settings.text("PAIDUP_WEBHOOK_QUEUE_URL")),
        policy=policy,
        budgets=budgets,
    )


def dead_letters() -> Queue:
    """Return the queue of the events that failed for three hours."""
    return queue.connect(settings.text("PAIDUP_DEAD_LETTERS_URL"))


def provider(name: str) -> Provider:
    """Return the payment provider called *name*. Raises NotFound if there is none."""
    if name not in providers.NAMES:
        raise NotFound("payment provider", name)
    secret = settings.text(f"PAIDUP_{name.upper()}_SECRET")
    base = settings.optional(f"PAIDUP_{name.upper()}_API_BASE")
    return providers.connect(name, partial(secrets.read, secret), base, table.connect(settings.text("PAIDUP_TABLE")))
