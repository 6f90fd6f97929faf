"""What support does at the command line: see what needs somebody, and decide about a customer's payment."""

from datetime import UTC, datetime
from getpass import getuser

from paidup.edge import clock
from paidup.flows.services import Services
from paidup.flows.support import review
from paidup.model.purchase import Purchase


def attention(services: Services) -> int:
    """Print the events that failed and the payments in quarantine, the oldest first."""
    cases, events = services.table.open_cases(), services.table.failed_events()
    for case in cases:
        when = datetime.fromtimestamp(case.opened_at, UTC).strftime("%Y-%m-%d %H:%M:%S")
        print(f"{when}  case  {case.reason}  {case.purchase_id} of {case.customer_id}  {case.why}")
    for row in events:
        when = datetime.fromtimestamp(row.received_at, UTC).strftime("%Y-%m-%d %H:%M:%S")
        print(
            f"{when}  {row.status:11}  {row.type}  {row.event_id}  {row.purchase_id or '-'}  {row.error or ''}".rstrip()
        )
    if not cases and not events:
        print("Nothing needs anybody.")
    return 0


def decide(customer_id: str, purchase_id: str, services: Services, *, grant: bool) -> int:
    """Grant the payment or give it back, and print how the pass stood before and stands now. Raises NotFound."""
    before = services.table.purchase(customer_id, purchase_id)
    review(customer_id, purchase_id, services, grant=grant, by=getuser(), now=clock.now())
    after = services.table.purchase(customer_id, purchase_id)
    print(f"{purchase_id} of {customer_id}: {_standing(before, services)} -> {_standing(after, services)}")
    return 0


def _standing(purchase: Purchase | None, services: Services) -> str:
    """Return how *held* stands, and what of its money is back."""
    if purchase is None:
        return "none"
    status = purchase.status_at(now=clock.now(), grace_s=services.policy.grace_s)
    payment = purchase.payment
    back = (
        f" ({purchase.refunded} of {payment.amount} {payment.currency} back)" if payment and purchase.refunded else ""
    )
    return f"{status.state}{back}"
