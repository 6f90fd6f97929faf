"""EventBridge, every 5 minutes: settle what no webhook told.

Once an hour, also settle what no event told, and look whether webhooks can come.
"""

from dataclasses import asdict
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from paidup.edge import clock, settings
from paidup.edge.services import SETTINGS, open_services
from paidup.flows.check_endpoints import check_endpoints
from paidup.flows.objects import reconcile_objects
from paidup.flows.reconcile import reconcile

settings.require(*SETTINGS, "PAIDUP_WEBHOOK_QUEUE_URL", "PAIDUP_API_URL")


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Read the providers' events from where the last run ended, then, once an hour, their objects.

    What does not fit into this run is the next one's.
    """

    def time_left() -> float:
        return context.get_remaining_time_in_millis() / 1000

    services, run_id, api_url = open_services(), context.aws_request_id, settings.text("PAIDUP_API_URL")
    events = reconcile(services, run_id=run_id, now=clock.now(), time_left=time_left)
    faults = check_endpoints(services, api_url, run_id=run_id, now=clock.now(), time_left=time_left)
    objects = reconcile_objects(services, run_id=run_id, now=clock.now(), time_left=time_left)
    return {**asdict(events), "objects": asdict(objects), "endpoint_faults": list(faults)}
