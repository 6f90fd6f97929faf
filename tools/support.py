"""What support does at the command line: see what needs somebody, and decide about a customer's payment."""

from datetime import UTC, datetime

from paidup.edge import clock
from paidup.flows.refund import review
from paidup.flows.services import Shop
from paidup.model.purchase import Pass


def attention(shop: Shop) -> int:
    """Print the events that failed and the payments in quarantine, the oldest first."""
    rows = shop.table.attention()
    for row in rows:
        when = datetime.fromtimestamp(row.received_at, UTC).strftime("%Y-%m-%d %H:%M:%S")
        print(f"{when}  {row.status:11}  {row.type}  {row.event_id}  {row.pass_id or '-'}  {row.error or ''}".rstrip())
    if not rows:
        print("Nothing needs anybody.")
    return 0


def decide(customer_id: str, pass_id: str, shop: Shop, *, grant: bool) -> int:
    """Grant the payment or give it back, and print how the pass stood before and stands now. Raises NotFound."""
    before = shop.table.held(customer_id, pass_id)
    review(customer_id, pass_id, shop, grant=grant, now=clock.now())
    after = shop.table.held(customer_id, pass_id)
    print(f"{pass_id} of {customer_id}: {_standing(before, shop)} -> {_standing(after, shop)}")
    return 0


def _standing(held: Pass | None, shop: Shop) -> str:
    """Return how *held* stands, and what of its money is back."""
    if held is None:
        return "none"
    standing = held.standing(now=clock.now(), grace_s=shop.policy.grace_s)
    payment = held.payment
    back = f" ({held.refunded} of {payment.amount} {payment.currency} back)" if payment and held.refunded else ""
    return f"{standing.status}{back}"
