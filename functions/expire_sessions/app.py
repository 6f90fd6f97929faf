"""EventBridge, every minute: end what is due by the clock."""

from dataclasses import asdict
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from paidup.edge import clock, settings
from paidup.edge.services import SETTINGS, open_services
from paidup.flows.expire import expire

settings.require(*SETTINGS)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """End checkouts, pages and access that are due; what does not fit into this run is the next one's."""

    def time_left() -> float:
        return context.get_remaining_time_in_millis() / 1000

    return asdict(expire(open_services(), now=clock.now(), time_left=time_left))
