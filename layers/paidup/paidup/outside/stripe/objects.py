"""All objects of a Stripe account, customer by customer or not: what runs, and what was made lately."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from paidup.model.fact import Fact
from paidup.model.provider import Known, Report
from paidup.outside.stripe import facts
from paidup.outside.stripe.client import pages, translate_errors
from paidup.outside.stripe.facts import Observed
from paidup.outside.stripe.metadata import Object
from paidup.outside.stripe.owners import subscription_of
from paidup.outside.stripe.reader import Reader

DISPUTED_FOR_S = 120 * 86_400  # a bank may take so long to decide

Read = Callable[[Object, Observed, Known], list[Fact]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Objects(Reader):
    """What the Stripe account of one API key has."""

    def objects(self, cursor: str | None, *, since: int, known: Known) -> Iterator[Report]:
        """See `Provider.objects`. Disputes are listed for 120 days more, since they end long after they began.

        Stripe lists the newest first, and goes on after an id that it listed. Without a `status`, it lists all
        subscriptions but the canceled ones: one call reads a hundred. A cursor is the list's name and the object's id.
        """
        name, _, last = (cursor or "").partition("#")
        names = list(self._lists())
        for listed in names[names.index(name) if name else 0 :]:
            yield from self._listed(listed, last, since, known)
            last = ""

    def _lists(self) -> dict[str, tuple[Any, dict[str, Any], Read]]:
        """Return, by its name, how each list is asked for, with what, and how an object of it is read."""
        v1, paid = self.api.v1, ["data.payment_intent.latest_charge", "data.subscription.latest_invoice"]
        return {
            "subscriptions": (v1.subscriptions.list, {"expand": ["data.latest_invoice"]}, self._of_running_plan),
            "checkout sessions": (v1.checkout.sessions.list, {"expand": paid}, self._of_listed_session),
            "invoices": (v1.invoices.list, {"status": "paid"}, self._of_listed_invoice),
            "refunds": (v1.refunds.list, {"expand": ["data.charge"]}, self._of_listed_refund),
            "disputes": (v1.disputes.list, {}, self._of_listed_dispute),
        }

    def _listed(self, name: str, last: str, since: int, known: Known) -> Iterator[Report]:
        ask, more, read = self._lists()[name]
        asked: Any = {"limit": 100, **more}
        begins = since - DISPUTED_FOR_S if name == "disputes" else since
        asked |= {"created": {"gte": begins}} if name != "subscriptions" else {}
        asked |= {"starting_after": last} if last else {}

        def read_one(thing: Object, observed: Observed) -> list[Fact]:
            with translate_errors(f"about one of its {name}"):
                return read(thing, observed, known)

        with translate_errors(f"for its {name}"):
            for thing, observed in pages(ask(asked)):
                yield Report(ref=thing["id"], read=partial(read_one, thing, observed), cursor=f"{name}#{thing['id']}")

    def _of_running_plan(self, plan: Object, observed: Observed, known: Known) -> list[Fact]:
        sale = self.sale_of_plan(plan, known)
        return [*self._paid_before(plan, sale), *self._of_plan(plan, observed, sale, known)] if sale else []

    def _of_listed_session(self, session: Object, observed: Observed, known: Known) -> list[Fact]:
        return self._of_session(session, observed, self.sale_of_session(session, known))

    def _of_listed_invoice(self, invoice: Object, observed: Observed, known: Known) -> list[Fact]:
        """Return what one says that the merchant wrote by hand. A subscription brings its own."""
        return [] if subscription_of(invoice) else self._of_invoice(invoice, observed, known)

    def _of_listed_refund(self, refund: Object, observed: Observed, known: Known) -> list[Fact]:
        charge = refund.get("charge")
        return self._of_listed_charge(charge, observed, known) if isinstance(charge, dict) else []

    def _of_listed_charge(self, charge: Object, observed: Observed, known: Known) -> list[Fact]:
        sale, paid = self.sale_of_payment(charge, known)
        return [facts.of_charge(charge, observed, sale, paid=paid)] if sale else []

    def _of_listed_dispute(self, dispute: Object, observed: Observed, known: Known) -> list[Fact]:
        sale, paid = self.sale_of_payment(dispute, known)
        return [facts.of_dispute(dispute, observed, sale, paid=paid)] if sale else []
