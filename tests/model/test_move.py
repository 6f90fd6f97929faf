"""A move, tested on literals: what becomes another customer's, and what both accounts are afterwards."""

from dataclasses import replace
from typing import Any

import pytest
from paidup.model.account import Account, email_digest
from paidup.model.checkout import CheckoutStatus
from paidup.model.move import Belongings, BothBooked, Move, Request, hand_over, hand_over_account

from .test_settlement import NOW, POLICY, a_booking, a_checkout, a_purchase, an_account

WHY = Request(reason="signed up twice", by="eve", now=NOW, policy=POLICY)
BOB = Account(customer_id="bob", version=1)


def moved(account: Account, target: Account = BOB, **found: Any) -> Move:
    return hand_over(account, target, Belongings(**{name: (one,) for name, one in found.items()}), WHY)


class TestAMove:
    def test_takes_the_access_of_a_purchase_along(self) -> None:
        purchase = a_purchase()
        account = an_account(purchase)

        move = moved(account, purchases=purchase)

        assert move.target_after.access == account.access
        assert (move.source_after.access, move.target_after.billing_version) == ((), 1)
        assert move.source_after.billing_version == account.billing_version + 1
        assert [one.customer_id for one in move.belongings.purchases] == ["bob"]

    def test_leaves_the_access_of_what_stays(self) -> None:
        stays, goes = a_purchase("co_1"), a_purchase("co_2")

        move = moved(an_account(stays, goes), purchases=goes)

        assert [one.purchase_id for one in move.source_after.access] == ["co_1"]
        assert [one.purchase_id for one in move.target_after.access] == ["co_2"]

    def test_takes_the_open_checkout_and_its_slot_along(self) -> None:
        move = moved(an_account(open_checkout_id="co_1"), checkouts=a_checkout())

        assert (move.source_after.open_checkout_id, move.target_after.open_checkout_id) == (None, "co_1")
        assert move.belongings.checkouts[0].status is CheckoutStatus.OPEN

    def test_ends_an_open_checkout_if_the_slot_is_taken(self) -> None:
        move = moved(an_account(open_checkout_id="co_1"), replace(BOB, open_checkout_id="co_7"), checkouts=a_checkout())

        assert move.target_after.open_checkout_id == "co_7"
        assert move.belongings.checkouts[0].status is CheckoutStatus.INVALIDATED
        assert move.belongings.checkouts[0].due_at == NOW

    def test_takes_the_open_booking_and_its_slot_along(self) -> None:
        move = moved(an_account(open_booking_id="co_1"), bookings=a_booking())

        assert (move.source_after.open_booking_id, move.target_after.open_booking_id) == (None, "co_1")

    def test_is_refused_if_both_have_an_open_booking(self) -> None:
        with pytest.raises(BothBooked, match="co_1"):
            moved(an_account(open_booking_id="co_1"), replace(BOB, open_booking_id="co_7"), bookings=a_booking())

    def test_is_on_the_timeline_of_both(self) -> None:
        move = moved(an_account(), purchases=a_purchase())

        told = {one.customer_id: (one.change, one.reason, one.decided_by) for one in move.timeline}
        assert told == {
            "ada": ("moved to the customer 'bob'", "signed up twice", "eve"),
            "bob": ("moved from the customer 'ada'", "signed up twice", "eve"),
        }


class TestTheAccountItself:
    def test_gives_its_providers_customers_away(self) -> None:
        move = hand_over_account(an_account().known_as("memory#c_1"), BOB, WHY)

        assert move.target_after.customer_ref("memory", "eur") == "memory#c_1"
        assert move.source_after.customers == {}

    def test_keeps_the_targets_own_customer_to_pay_with(self) -> None:
        move = hand_over_account(an_account().known_as("memory#c_1"), BOB.known_as("memory#c_2"), WHY)

        assert move.target_after.customer_ref("memory", "eur") == "memory#c_2"
        assert move.target_after.customer_refs("memory") == ["memory#c_2", "memory#c_1"]

    def test_remembers_its_trials_on_both_sides(self) -> None:
        move = hand_over_account(an_account(trials=("gym",)), replace(BOB, trials=("pool",)), WHY)

        assert (move.target_after.trials, move.source_after.trials) == (("gym", "pool"), ("gym",))

    def test_that_holds_nothing_is_no_move(self) -> None:
        assert hand_over_account(an_account(), BOB, WHY).empty


class TestTheCustomersAtAProvider:
    def test_are_one_for_every_currency_until_it_wants_more(self) -> None:
        account = BOB.known_as("memory#c_1").known_as("memory#c_2", currency="usd")

        assert account.customer_ref("memory", "eur") == "memory#c_1"
        assert account.customer_ref("memory", "usd") == "memory#c_2"
        assert account.customer_ref("other", "usd") is None

    def test_are_told_of_an_address_only_if_it_changed(self) -> None:
        account = BOB.known_as("memory#c_1").with_email("memory#c_1", "bob@example.com")

        assert account.outdated("memory", "bob@example.com") == []
        assert account.outdated("memory", "BOB@example.com ") == []
        assert account.outdated("memory", None) == []
        assert account.outdated("memory", "rob@example.com") == ["memory#c_1"]

    def test_of_whom_no_address_is_known_are_left_alone(self) -> None:
        assert BOB.known_as("memory#c_1").outdated("memory", "bob@example.com") == []

    @pytest.mark.parametrize("spelled", ["Ada@Example.com", " ada@example.com", "\uff41da@example.com"])
    def test_have_one_digest_for_one_address(self, spelled: str) -> None:
        assert email_digest(spelled) == email_digest("ada@example.com")
        assert email_digest(spelled) != email_digest("ada@example.org")
