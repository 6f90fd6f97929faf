"""EventBridge, every minute: end what is due by the clock."""

from dataclasses import asdict
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from paidup.edge import clock, settings
from paidup.edge.services import SETTINGS, open_services
from paidup.flows.expire import SweepFailed, expire
from paidup.outside.log import logger

settings.require(*SETTINGS)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """End checkouts, pages and passes that are due; what does not fit into this run is the next one's.

    Raises Unswept at the end where something failed, so that the error metric shows it.
    """
    report = asdict(
        expire(open_services(), now=clock.now(), time_left=lambda: context.get_remaining_time_in_millis() / 1000)
    )
    logger.info("clock.swept", **report)
    if report["failed"]:
        raise SweepFailed(f"{report['failed']} things that are due could not be dealt with")
    return report
