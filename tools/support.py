"""What support decides about a customer's payment, and how the purchase stood before and stands after it."""

from dataclasses import dataclass
from getpass import getuser

from paidup.edge import clock
from paidup.flows.move import MoveResult, move
from paidup.flows.services import Services
from paidup.flows.support import Decision, review
from paidup.model.access import PurchaseStatus
from paidup.model.money import shown
from paidup.model.purchase import Purchase


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a purchase stands. `refunded` of `paid` is back with the customer, in minor units of `currency`."""

    status: PurchaseStatus
    paid: int
    refunded: int
    currency: str | None

    def __str__(self) -> str:
        """Return it in a few words."""
        if not self.refunded or not self.currency:
            return self.status
        return f"{self.status} ({shown(self.refunded, self.currency)} of {shown(self.paid, self.currency)} back)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A decision, carried out."""

    customer_id: str
    purchase_id: str
    before: Standing | None
    after: Standing | None


def decide(customer_id: str, purchase_id: str, services: Services, *, grant: bool, reason: str) -> Decided:
    """Grant the payment or give it back, in the name of who runs this. Raises what `review` raises."""
    before = _standing(customer_id, purchase_id, services)
    decision = Decision(by=getuser(), reason=reason, now=clock.now())
    review(customer_id, purchase_id, services, decision, grant=grant)
    after = _standing(customer_id, purchase_id, services)
    return Decided(customer_id=customer_id, purchase_id=purchase_id, before=before, after=after)


def move_all(source: str, target: str, services: Services, *, reason: str) -> MoveResult:
    """Move everything of the customer *source* to *target*, in the name of who runs this. Raises what `move` raises."""
    return move(source, target, services, reason=reason, by=getuser(), now=clock.now())


def _standing(customer_id: str, purchase_id: str, services: Services) -> Standing | None:
    found: Purchase | None = services.table.purchase(customer_id, purchase_id)
    if found is None:
        return None
    payment = found.payment
    return Standing(
        status=found.status_at(now=clock.now(), policy=services.policy).state,
        paid=payment.amount if payment else 0,
        refunded=found.refunded,
        currency=payment.currency if payment else None,
    )
