"""Checking endpoints: whether each provider would tell us at all. Asked once an hour, since nothing shows otherwise."""

from collections.abc import Callable

from paidup.flows.services import Services
from paidup.model.endpoint import EndpointFault, faults
from paidup.model.errors import BudgetSpent, ProviderRefused, ProviderUnavailable
from paidup.model.fact import Channel
from paidup.outside import metrics
from paidup.outside.deadline import within
from paidup.outside.log import logger

EVERY_S = 3_540  # a minute less than an hour, so that no run of an hour falls between two
ASK_WITHIN_S = 6.0
SPARE_S = 10.0


def check_endpoints(
    services: Services, api_url: str, *, run_id: str, now: int, time_left: Callable[[], float]
) -> tuple[EndpointFault, ...]:
    """Return what is wrong with the endpoints at the providers, if our API is at *api_url* and it is time to ask.

    One run (*run_id*) an hour asks, by a lease that nobody returns. *now* is in epoch seconds, *time_left* returns
    seconds. If a provider does not let us look, that is a fault too: we would not know of any other.
    """
    found: list[EndpointFault] = []
    for provider in services.providers:
        if time_left() < SPARE_S:
            break
        if not services.table.claim_run(f"endpoints#{provider}", f"{run_id}@{now}", until=now + EVERY_S, now=now):
            continue
        for fault in _faults(provider, f"{api_url.rstrip('/')}/webhooks/{provider}", services, now=now):
            logger.warning("endpoint.faulty", provider=provider, why=fault)
            metrics.count("EndpointFault", reason=fault)
            found.append(fault)
    return tuple(found)


def _faults(provider: str, url: str, services: Services, *, now: int) -> tuple[EndpointFault, ...]:
    try:
        with within(ASK_WITHIN_S), services.asking(Channel.RECONCILER, now=now):
            return faults(services.provider(provider).endpoints(), url)
    except (ProviderUnavailable, BudgetSpent):
        return ()  # others count that already
    except ProviderRefused:
        return (EndpointFault.UNREADABLE,)
