"""Refunds and disputes."""

from typing import Any

import pytest
import stripe

from tests.contract.drive import DAY, Driver


def _charge(driver: Driver, intent: Any) -> stripe.Charge:
    return driver.client.v1.charges.list({"payment_intent": str(intent), "expand": ["data.refunds"]}).data[0]


def test_a_refund_in_parts_adds_up(driver: Driver) -> None:
    intent = str(driver.bought().payment_intent)
    create = driver.client.v1.refunds.create
    part = create({"payment_intent": intent, "amount": 500, "metadata": {"why": "late"}})
    assert (part.status, part.amount, part.payment_intent) == ("succeeded", 500, intent)
    assert (_charge(driver, intent).amount_refunded, _charge(driver, intent).refunded) == (500, False)
    create({"payment_intent": intent})
    charge = _charge(driver, intent)
    assert (charge.amount_refunded, charge.refunded) == (1500, True)
    assert charge.refunds
    assert [refund.amount for refund in charge.refunds.data] == [1000, 500]
    totals = [e["data"]["object"]["amount_refunded"] for e in driver.events(charge.id, type="charge.refunded")]
    assert totals == [500, 1500]
    assert driver.types(part.id, type="refund.created") == ["refund.created"]


def test_more_than_was_paid_is_not_refunded(driver: Driver) -> None:
    intent = str(driver.bought().payment_intent)
    create = driver.client.v1.refunds.create
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded amount") as refused:
        create({"payment_intent": intent, "amount": 1501})
    assert refused.value.param == "amount"
    create({"charge": _charge(driver, intent).id})
    with pytest.raises(stripe.InvalidRequestError) as again:
        create({"payment_intent": intent})
    assert (again.value.code, again.value.http_status) == ("charge_already_refunded", 400)


def test_a_refund_needs_something_paid(driver: Driver) -> None:
    create = driver.client.v1.refunds.create
    with pytest.raises(stripe.InvalidRequestError) as bare:
        create({})
    assert bare.value.code == "parameter_missing"
    session = driver.session(driver.customer().id)
    driver.pay(session, "4000000000000002")
    intent = driver.client.v1.checkout.sessions.retrieve(session.id).payment_intent
    with pytest.raises(stripe.InvalidRequestError):
        create({"payment_intent": str(intent)})


def test_a_refund_may_take_its_time(driver: Driver) -> None:
    intent = str(driver.bought(card="4000000000007726").payment_intent)
    refund = driver.client.v1.refunds.create({"payment_intent": intent})
    assert refund.status == "pending"
    driver.advance(10)
    assert driver.client.v1.refunds.retrieve(refund.id).status == "succeeded"
    assert driver.types(refund.id)[-2:] == ["refund.updated", "charge.refund.updated"]


def test_a_refund_may_fail_and_the_charge_is_whole_again(driver: Driver) -> None:
    intent = str(driver.bought(card="4000000000005126").payment_intent)
    refund = driver.client.v1.refunds.create({"payment_intent": intent})
    assert refund.status == "succeeded"
    driver.advance(10)
    failed = driver.client.v1.refunds.retrieve(refund.id)
    assert (failed.status, failed.failure_reason) == ("failed", "expired_or_canceled_card")
    assert (_charge(driver, intent).amount_refunded, _charge(driver, intent).refunded) == (0, False)
    assert driver.types(refund.id)[-1] == "refund.failed"


def test_a_refund_on_its_way_may_be_cancelled_and_the_charge_is_whole_again(driver: Driver) -> None:
    intent = str(driver.bought(card="4000000000007726").payment_intent)
    refund = driver.client.v1.refunds.create({"payment_intent": intent, "amount": 400})
    with pytest.raises(stripe.InvalidRequestError, match="pending"):
        driver.client.v1.refunds.cancel(refund.id)

    driver.dev(f"stripe/refunds/{refund.id}/cancel", {})

    assert driver.client.v1.refunds.retrieve(refund.id).status == "canceled"
    assert (_charge(driver, intent).amount_refunded, _charge(driver, intent).refunded) == (0, False)
    assert driver.types(refund.id)[-2:] == ["refund.updated", "charge.refund.updated"]
    driver.advance(10)
    assert driver.client.v1.refunds.retrieve(refund.id).status == "canceled"
    assert driver.http.post(f"/dev/stripe/refunds/{refund.id}/fail", json={}).status_code == 409


def test_parts_of_a_charge_are_disputed_one_by_one_and_never_more_than_the_whole(driver: Driver) -> None:
    intent = driver.bought().payment_intent
    first = driver.dev("stripe/disputes", {"payment_intent": intent, "amount": 500})
    assert driver.dev("stripe/disputes", {"payment_intent": intent, "amount": 400})["amount"] == 400
    too_much = {"payment_intent": intent, "amount": 601}
    assert driver.http.post("/dev/stripe/disputes", json=too_much).status_code == 400

    driver.dev(f"stripe/disputes/{first['id']}/move", {"status": "won"})

    assert driver.dev("stripe/disputes", {"payment_intent": intent})["amount"] == 1_100
    moved = [one.net for one in driver.client.v1.balance_transactions.list({"source": first["id"]}).data]
    assert moved == [500, -500]


@pytest.mark.parametrize(
    "path",
    [
        ("under_review", "won"),
        ("under_review", "appeal_needs_response", "appeal_under_review", "won"),
        ("under_review", "appeal_needs_response", "lost"),
    ],
    ids=" ".join,
)
def test_a_dispute_goes_its_way_to_the_end(driver: Driver, path: tuple[str, ...]) -> None:
    opened = driver.dev("stripe/disputes", {"payment_intent": driver.bought().payment_intent})
    for status in path:
        driver.dev(f"stripe/disputes/{opened['id']}/move", {"status": status})
        assert driver.client.v1.disputes.retrieve(opened["id"]).status == status
    types = driver.types(opened["id"])
    assert types.count("charge.dispute.updated") == len(path)
    assert types.count("charge.dispute.closed") == 1
    assert ("charge.dispute.funds_reinstated" in types) == (path[-1] == "won")
    closed = driver.http.post(f"/dev/stripe/disputes/{opened['id']}/move", json={"status": "lost"})
    assert closed.status_code == 400


def test_an_inquiry_can_become_a_chargeback(driver: Driver) -> None:
    opened = driver.dev("stripe/disputes", {"payment_intent": driver.bought().payment_intent, "kind": "inquiry"})

    grown = driver.dev(f"stripe/disputes/{opened['id']}/move", {"status": "needs_response"})

    assert (grown["is_charge_refundable"], len(grown["balance_transactions"])) == (False, 1)
    assert driver.types(opened["id"])[-1] == "charge.dispute.funds_withdrawn"


@pytest.mark.parametrize(("kind", "moved"), [("resolution", 1), ("block", 0)])
def test_a_dispute_can_be_prevented(driver: Driver, kind: str, moved: int) -> None:
    opened = driver.dev("stripe/disputes", {"payment_intent": driver.bought().payment_intent, "kind": kind})

    assert (opened["status"], len(opened["balance_transactions"])) == ("prevented", moved)
    assert driver.types(opened["id"])[-1] == "charge.dispute.closed"


@pytest.mark.parametrize(("status", "last"), [("won", "funds_reinstated"), ("lost", "closed")])
def test_a_dispute_is_opened_and_closed(driver: Driver, status: str, last: str) -> None:
    intent = driver.bought().payment_intent
    opened = driver.dev("stripe/disputes", {"payment_intent": intent, "reason": "product_not_received"})
    dispute = driver.client.v1.disputes.retrieve(opened["id"])
    assert (dispute.status, dispute.amount, dispute.reason) == ("needs_response", 1500, "product_not_received")
    assert dispute.payment_intent == intent
    assert _charge(driver, intent).disputed
    with pytest.raises(stripe.InvalidRequestError) as refused:
        driver.client.v1.refunds.create({"payment_intent": str(intent)})
    assert refused.value.code == "charge_disputed"
    driver.dev(f"stripe/disputes/{dispute.id}/close", {"status": status})
    assert driver.client.v1.disputes.retrieve(dispute.id).status == status
    types = driver.types(dispute.id)
    assert types[:2] == ["charge.dispute.created", "charge.dispute.funds_withdrawn"]
    assert types[-1] == f"charge.dispute.{last}"
    assert [one.id for one in driver.client.v1.disputes.list({"payment_intent": str(intent)}).data] == [dispute.id]


def test_evidence_decides_a_dispute_as_in_stripes_test_mode(driver: Driver) -> None:
    opened = driver.dev("stripe/disputes", {"payment_intent": driver.bought().payment_intent})
    evidence: Any = {"evidence": {"uncategorized_text": "winning_evidence"}}
    assert driver.client.v1.disputes.update(opened["id"], evidence).status == "won"
    other = driver.dev("stripe/disputes", {"payment_intent": driver.bought().payment_intent})
    assert driver.client.v1.disputes.close(other["id"]).status == "lost"


def test_an_inquiry_takes_no_money(driver: Driver) -> None:
    opened = driver.dev("stripe/disputes", {"payment_intent": driver.bought().payment_intent, "inquiry": True})
    assert (opened["status"], opened["balance_transactions"]) == ("warning_needs_response", [])
    closed = driver.dev(f"stripe/disputes/{opened['id']}/close", {"status": "warning_closed"})
    assert closed["status"] == "warning_closed"


def test_a_card_brings_a_dispute_about_by_itself(driver: Driver) -> None:
    intent = driver.bought(card="4000000000000259").payment_intent
    driver.advance(5)
    assert _charge(driver, intent).disputed
    assert driver.client.v1.disputes.list({"payment_intent": str(intent)}).data[0].reason == "fraudulent"


def test_what_moved_is_found_in_the_balance(driver: Driver) -> None:
    intent = str(driver.bought().payment_intent)
    refund = driver.client.v1.refunds.create({"payment_intent": intent, "expand": ["balance_transaction"]})
    assert isinstance(refund.balance_transaction, stripe.BalanceTransaction)
    assert (refund.balance_transaction.net, refund.balance_transaction.type) == (-1500, "refund")
    charged = driver.client.v1.balance_transactions.list({"source": _charge(driver, intent).id}).data[0]
    assert charged.net == charged.amount - charged.fee == 1500 - 74


def test_events_are_listed_for_30_days_by_type_and_time(driver: Driver) -> None:
    session = driver.bought()
    events = driver.client.v1.events.list
    types: Any = ["charge.succeeded", "checkout.session.completed"]
    found = events({"types": types, "limit": 2}).data
    assert [event.type for event in found] == ["checkout.session.completed", "charge.succeeded"]
    assert driver.client.v1.events.retrieve(found[0].id).data.object["id"] == session.id
    assert {event.type for event in events({"type": "charge.succ*"}).data} == {"charge.succeeded"}
    later = events({"ending_before": found[1].id}).data
    assert later[-1].id != found[1].id
    with pytest.raises(stripe.InvalidRequestError):
        events({"types": ["charge.succeeded"] * 21})
    driver.advance(31 * DAY)
    assert events({"types": types}).data == []
