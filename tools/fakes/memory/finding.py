"""What support finds at the provider in memory: events, customers by e-mail address, and payments by any id."""

import json
from dataclasses import dataclass, field, replace

from paidup.model.errors import ObjectMissing
from paidup.model.fact import Fact
from paidup.model.offer import Offer
from paidup.model.provider import FoundCustomer, FoundPayment, WebhookEvent

from tools.fakes.memory.facts import NAME, Sheet
from tools.fakes.memory.managing import Managing


@dataclass(slots=True)
class Finding(Managing):
    """The provider, as support searches it. `emails` are the addresses of its customers."""

    emails: dict[str, str] = field(default_factory=dict)

    def event(self, event_id: str) -> WebhookEvent:
        """See `Provider.event`."""
        self._asked("event")
        number = event_id.removeprefix("evt_")
        if not number.isdecimal() or int(number) >= len(self.told):
            raise ObjectMissing(NAME, "it was asked for an event")
        return self.told_as_event(int(number))

    def told_as_event(self, n: int) -> WebhookEvent:
        """Return the *n*th event."""
        told = self.told[n]
        body = json.dumps({"event": n})
        return WebhookEvent(
            provider=NAME,
            event_id=f"evt_{n}",
            type=told.type,
            created_at=told.at,
            urgent=told.type == "page",
            relevant=True,
            body=body,
        )

    def find_customers(self, email: str) -> list[FoundCustomer]:
        """See `Provider.find_customers`."""
        self._asked("find customers")
        refs = [ref for ref, known in self.emails.items() if known.lower() == email.lower()]
        return [FoundCustomer(ref=ref, customer_id=ref.removeprefix(f"{NAME}#customer_")) for ref in reversed(refs)]

    def find_payment(self, an_id: str) -> FoundPayment:
        """See `Provider.find_payment`."""
        self._asked("find a payment")
        sheet, thing = self._found(an_id)
        customer = sheet.checkout.customer_id
        return FoundPayment(
            ref=f"{NAME}#{thing}",
            refs=(f"{NAME}#{thing}", f"{NAME}#{sheet.token}", f"{NAME}#customer_{customer}"),
            customer_id=customer,
            renews=sheet.plan is not None,
        )

    def assigned(self, an_id: str, offer: Offer, *, customer_id: str) -> list[Fact]:
        """See `Provider.assigned`."""
        self._asked("assign a payment")
        sheet, thing = self._found(an_id)
        told = self._of_sheet(sheet, with_plan=True) if sheet.payment else []
        return [
            replace(
                one,
                customer_id=customer_id,
                purchase_id=thing,
                offer_id=offer.offer_id,
                kind=offer.kind,
                valid_days=offer.valid_days,
                asked=None,
            )
            for one in told
        ]

    def _found(self, an_id: str) -> tuple[Sheet, str]:
        """Return the page that *an_id* is about, and the id of what was bought on it."""
        for sheet in self.sheets.values():
            thing = sheet.plan.ref if sheet.plan else f"pi_{sheet.token}"
            bills = [bill.ref for bill in sheet.plan.bills] if sheet.plan else []
            if an_id in (sheet.token, thing, *bills):
                return sheet, thing
        raise ObjectMissing(NAME, "it was asked whose payment an id is about")
