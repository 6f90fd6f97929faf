"""What a customer may use, and when the billing version moves."""

from paidup.model.account import Account
from paidup.model.fact import Payment, PaymentStatus, SubscriptionStatus
from paidup.model.policy import DAY_S, Policy
from paidup.model.purchase import Purchase

from .test_purchase import T0, fact, invoice, item, payment, plan, told

POLICY = Policy()
GRACE_S = POLICY.grace_s
ada = Account(customer_id="ada")


def granted(account: Account, purchase: Purchase, now: int = T0) -> Account:
    return account.granting(purchase, now=now, policy=POLICY)


def test_a_grant_moves_the_billing_version_by_one() -> None:
    account = granted(ada, told(fact(payment())))
    assert account.billing_version == 1
    assert [access.purchase_id for access in account.access] == ["co_1"]


def test_what_changes_nothing_for_the_customer_does_not_move_it() -> None:
    account = granted(ada, told(fact(payment())))
    assert granted(account, told(fact(payment(), T0 + 5, fetched=True))) == account
    pending = Payment(status=PaymentStatus.PENDING, amount=1, subtotal=1, currency="eur")
    assert granted(ada, told(fact(pending))).billing_version == 0


def test_falling_past_due_within_the_grace_takes_nothing_from_the_customer() -> None:
    """An unpaid renewal starts the next period. Access still ends one grace after the old period's end."""
    paid = fact(invoice(), about="in_1")
    account = granted(ada, told(paid, fact(plan(invoice="in_1"), about="sub_1")))
    renewed = item(period_start=T0 + 30 * DAY_S, period_end=T0 + 60 * DAY_S)
    past_due = plan(SubscriptionStatus.PAST_DUE, renewed, invoice="in_2")
    later = granted(account, told(paid, fact(past_due, T0 + 30 * DAY_S, about="sub_1")), now=T0 + 30 * DAY_S)
    assert later.billing_version == account.billing_version


def test_access_that_ran_out_is_gone_for_readers_before_anything_is_written() -> None:
    account = granted(ada, told(fact(plan(cancel_at=T0 + 100))))
    assert account.current_access(now=T0 + 99)
    assert not account.current_access(now=T0 + 100)


def test_the_end_by_the_clock_moves_the_billing_version_once() -> None:
    purchase = told(fact(plan(cancel_at=T0 + 100)))
    account = granted(ada, purchase)
    ended = granted(account, purchase, now=T0 + 100)
    assert (ended.billing_version, ended.access) == (2, ())
    assert granted(ended, purchase, now=T0 + 200) == ended
