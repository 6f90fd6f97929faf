"""What a change of a subscription does to access while it is not paid, and which uses of a pass are left."""

import pytest
from paidup.model.access import PurchaseStatus
from paidup.model.errors import Malformed
from paidup.model.fact import Fact, InvoiceStatus, Line, SubscriptionStatus
from paidup.model.policy import DAY_S, Policy
from paidup.model.purchase import Purchase
from paidup.model.use import NotEnoughUses, NotUsable, TooLate, Use, give_back, take, use_id

from .test_purchase import T0, fact, invoice, item, line, payment, plan, status, told

MONTH = 30 * DAY_S
PAID = fact(invoice(), about="in_1")
ACTIVE = fact(plan(invoice="in_1"), about="sub_1")
WAITS = fact(plan(invoice="in_2"), T0 + 9, about="sub_1")  # the items are as they were
LINES = line(credit=True, start=T0 + 9), line("yearly", start=T0 + 9, end=T0 + 12 * MONTH)


def changing(state: InvoiceStatus, *lines: Line, url: str | None = None) -> Fact:
    return fact(invoice(state, *(lines or LINES), made_at=T0 + 9, url=url), T0 + 9, about="in_2")


def access(purchase: Purchase, now: int) -> list[tuple[str, int, int | None]]:
    return [(one.offer_id, one.quantity, one.until) for one in purchase.access(now=now, policy=Policy())]


class TestAChangeThatIsNotMade:
    @pytest.mark.parametrize("state", [InvoiceStatus.OPEN, InvoiceStatus.VOID])
    def test_moves_nothing_of_the_access(self, state: InvoiceStatus) -> None:
        before, after = told(PAID, ACTIVE), told(PAID, ACTIVE, changing(state), WAITS)

        assert access(after, T0 + 10) == access(before, T0 + 10)
        assert status(after) is PurchaseStatus.ACTIVE

    def test_is_told_from_seats_that_were_added_and_not_paid(self) -> None:
        more = fact(plan(SubscriptionStatus.ACTIVE, item(quantity=5), invoice="in_2"), T0 + 9, about="sub_1")
        lines = line(credit=True, start=T0 + 9), line(quantity=5, start=T0 + 9)

        purchase = told(PAID, ACTIVE, changing(InvoiceStatus.OPEN, *lines), more)

        assert [one[:2] for one in access(purchase, T0 + 10)] == [("ten_classes", 1)]

    def test_is_told_from_a_renewal_that_is_not_paid(self) -> None:
        renewed = item(period_start=T0 + MONTH, period_end=T0 + 2 * MONTH)
        late = fact(plan(SubscriptionStatus.PAST_DUE, renewed, invoice="in_2"), T0 + MONTH, about="sub_1")
        unpaid = changing(InvoiceStatus.OPEN, line(start=T0 + MONTH, end=T0 + 2 * MONTH))

        assert status(told(PAID, ACTIVE, unpaid, late), T0 + MONTH) is PurchaseStatus.PAST_DUE

    def test_has_a_page_on_which_it_can_be_approved_while_it_waits(self) -> None:
        opened = told(PAID, ACTIVE, changing(InvoiceStatus.OPEN, url="https://pay/in_2"), WAITS)
        given_up = opened.merge(
            fact(invoice(InvoiceStatus.VOID, *LINES, url="https://pay/in_2"), T0 + 10, about="in_2")
        )

        assert (opened.mend_url, given_up.mend_url) == ("https://pay/in_2", None)


def ten(used: int = 0, *, quantity: int = 1) -> Purchase:
    return told(fact(payment(), quantity=quantity), uses_each=10, used=used)


class TestUses:
    def test_are_as_many_as_were_bought(self) -> None:
        assert (ten().uses, ten(3).uses_left, ten(quantity=2).uses) == (10, 7, 20)
        assert (told(fact(payment())).uses, told(fact(payment())).uses_left) == (None, None)

    def test_end_access_with_the_last_one(self) -> None:
        assert (status(ten(9)), status(ten(10))) == (PurchaseStatus.ACTIVE, PurchaseStatus.ENDED)

    def test_are_no_part_of_what_moves_the_billing_version(self) -> None:
        before, after = (ten(n).access(now=T0, policy=Policy())[0] for n in (0, 9))

        assert before.entitlement == after.entitlement
        assert (before.uses_left, after.uses_left) == (10, 1)

    def test_are_never_fewer_than_none(self) -> None:
        with pytest.raises(NotEnoughUses, match="has 1 use left"):
            take(ten(9), 2, grants=True, status="active")
        with pytest.raises(NotEnoughUses, match="has 0 uses left"):
            take(ten(10), 1, grants=False, status="ended")
        assert take(ten(8), 2, grants=True, status="active").uses_left == 0

    def test_are_not_taken_without_access(self) -> None:
        with pytest.raises(NotUsable, match="is refunded"):
            take(ten(), 1, grants=False, status="refunded")

    def test_are_given_back_once_and_within_a_day(self) -> None:
        use = Use(use_id="use_1", customer_id="ada", purchase_id="co_1", count=2, by="mia", taken_at=T0)

        back = use.taken_back(now=T0 + DAY_S)

        assert back.taken_back(now=T0 + 9 * DAY_S) == back
        assert give_back(ten(2), 2).uses_left == 10
        with pytest.raises(TooLate):
            use.taken_back(now=T0 + DAY_S + 1)

    def test_of_one_key_are_one_use_of_a_purchase(self) -> None:
        use = Use(use_id="use_1", customer_id="ada", purchase_id="co_1", count=2, by="mia", taken_at=T0)

        assert use_id("co_1", "door") == use_id("co_1", "door") != use_id("co_2", "door")
        assert use.same_as(2) is use
        with pytest.raises(Malformed):
            use.same_as(1)
