"""Late money: whatever is paid on whichever page is granted, or goes back by itself, once; nothing ends in a log."""

import os
from collections.abc import Iterator
from dataclasses import replace
from getpass import getuser
from pathlib import Path
from typing import Any

import boto3
import pytest
from paidup.model.event import EventRecord, EventStatus
from paidup.outside.dynamo import items

from tests.functions.door import (
    give_up,
    hear,
    look,
    of_another_version,
    page_status,
    pages_of,
    recover,
    refund_by_hand,
    refunds,
    row_at,
    told,
)
from tests.functions.story import REFUND_FAILS
from tests.functions.wire import Exchange, Wire, be_down, gone, lose_the_answer
from tests.handlers import request
from tests.world import World
from tools import cli
from tools.local import state

SESSIONS, REFUNDS = "/v1/checkout/sessions", "POST /v1/refunds"
DAY = 86_400


def state_of(world: World, token: Any, buyer: str) -> str:
    return str(world.status(token["checkout_id"], customer=buyer)["state"])


def bought(world: World, buyer: str) -> list[str]:
    return [one["offer_id"] for one in world.account(customer=buyer)["access"]]


def changed_package(world: World, buyer: str, old: str = "ten_class_pass", new: str = "day_pass") -> tuple[Any, Any]:
    """Let *buyer* open one checkout and change their mind; returns both payment tokens."""
    return world.buy(old, customer=buyer).json, world.buy(new, customer=buyer).json


def both_paid(world: World, buyer: str, *offers: str) -> tuple[Any, Any]:
    """Let *buyer* pay in the new tab, and then in the old one; returns the token of the first payment first."""
    old, new = changed_package(world, buyer, *offers)
    world.pay(new["url"])
    world.pass_time(5)
    world.pay(old["url"])
    return new, old


class TestAPaymentInTheOldTab:
    def test_is_granted_and_the_new_tabs_page_closed(self, world: World, buyer: str) -> None:
        old, new = changed_package(world, buyer)
        world.pay(old["url"])
        hear(world, old["token"])
        assert bought(world, buyer) == ["ten_class_pass"]
        assert look(old["checkout_id"], customer=buyer)["next"] == "done"
        assert look(new["checkout_id"], customer=buyer)["status"] == "invalidated"
        assert world.account(customer=buyer).get("checkout") is None
        world.sweep()
        assert page_status(world, new) == "expired"
        assert refunds(world, old) == []

    def test_is_found_by_the_sweep_where_no_webhook_came(self, world: World, buyer: str) -> None:
        old, new = changed_package(world, buyer)
        world.pay(old["url"])
        world.sweep()
        assert bought(world, buyer) == ["ten_class_pass"]
        world.sweep()
        assert page_status(world, new) == "expired"

    @pytest.mark.parametrize("next_offer", ["ten_class_pass", "monthly"])
    def test_leaves_the_customer_free_to_buy(self, world: World, buyer: str, next_offer: str) -> None:
        old, _ = changed_package(world, buyer)
        world.pay(old["url"])
        hear(world, old["token"])
        assert world.buy(next_offer, customer=buyer).status == 201


class TestAPaymentAfterTheEnd:
    def test_of_a_cancelled_checkout_is_honoured(self, world: World, buyer: str, wire: Wire) -> None:
        token = world.buy(customer=buyer).json
        wire.inject(f"GET {SESSIONS}/{token['token']}", be_down)
        assert give_up(token["checkout_id"], customer=buyer)["status"] == "invalidated"
        world.pay(token["url"])
        hear(world, token["token"])
        assert bought(world, buyer) == ["ten_class_pass"]
        assert state_of(world, token, buyer) == "active"

    def test_of_an_expired_one_is_honoured(self, world: World, buyer: str, wire: Wire) -> None:
        """Stripe said that it was gone, and it was not."""
        token = world.buy(customer=buyer).json
        wire.inject(f"GET {SESSIONS}/{token['token']}", gone)
        newer = recover(token["checkout_id"], customer=buyer).json
        assert look(token["checkout_id"], customer=buyer)["status"] == "expired"
        wire.mend()
        world.pay(token["url"])
        hear(world, token["token"])
        assert bought(world, buyer) == ["ten_class_pass"]
        assert look(newer["checkout_id"], customer=buyer)["status"] == "invalidated"

    def test_by_a_slow_bank_is_honoured(self, world: World, buyer: str) -> None:
        token = world.buy(customer=buyer).json
        world.pay(token["url"], "delayed_success")
        world.pass_time(5 * DAY)
        world.sweep()
        hear(world, token["token"])
        assert bought(world, buyer) == ["ten_class_pass"]

    def test_of_a_recovered_one_leaves_one_payment(self, world: World, buyer: str, wire: Wire) -> None:
        token = world.buy(customer=buyer).json
        wire.inject(f"GET {SESSIONS}/{token['token']}", gone)
        newer = recover(token["checkout_id"], customer=buyer).json
        wire.mend()
        world.pay(newer["url"])
        world.pass_time(5)
        world.pay(token["url"])
        hear(world, token["token"], newer["token"])
        world.sweep()
        assert refunds(world, token) == [12_000]
        assert refunds(world, newer) == []


def fail_after_all(exchange: Exchange) -> None:
    """Answer like a Stripe that fails after it has done what it was asked for."""
    exchange.forward()
    be_down(exchange)


class TestAPageThatNobodyKnows:
    """Stripe made it and answered 500: the next click has another page, in the name of the same checkout."""

    @pytest.fixture
    def two_pages(self, world: World, buyer: str, wire: Wire) -> tuple[Any, str]:
        wire.inject(f"POST {SESSIONS}", fail_after_all)
        assert world.buy(customer=buyer).status == 503
        wire.mend()
        world.pass_time(3)
        token = world.buy(customer=buyer).json
        (orphan,) = [page.id for page in pages_of(world, buyer) if page.id != token["token"]]
        return token, orphan

    def test_takes_nothing_away_when_it_expires(self, world: World, buyer: str, two_pages: tuple[Any, str]) -> None:
        token, orphan = two_pages
        world.pay(token["url"])
        hear(world, token["token"])
        world.pass_time(DAY + 60)
        hear(world, orphan)
        assert page_status(world, {"token": orphan}) == "expired"
        assert bought(world, buyer) == ["ten_class_pass"]

    def test_ends_nothing_when_it_expires(self, world: World, buyer: str, two_pages: tuple[Any, str]) -> None:
        token, orphan = two_pages
        world.stripe.v1.checkout.sessions.expire(orphan)
        hear(world, orphan)
        assert look(token["checkout_id"], customer=buyer)["next"] == "pay"


class TestASecondPaymentForOnePurchase:
    @pytest.mark.parametrize("later_is_heard_first", [False, True])
    def test_goes_back_once(self, world: World, buyer: str, later_is_heard_first: bool) -> None:
        first, later = both_paid(world, buyer)
        pages = [first["token"], later["token"]]
        hear(world, *(reversed(pages) if later_is_heard_first else pages))
        assert bought(world, buyer) == ["day_pass"]
        assert state_of(world, later, buyer) == "refunded"
        for _ in range(3):
            world.sweep()
            world.pass_time(60)
        hear(world, *pages)
        assert refunds(world, later) == [12_000]
        assert refunds(world, first) == []
        assert state_of(world, first, buyer) == "active"
        assert [one["status"] for one in world.account(customer=buyer)["purchases"]].count("refunded") == 1

    def test_goes_back_where_the_first_was_cancelled_while_stripe_was_away(
        self, world: World, buyer: str, wire: Wire
    ) -> None:
        """The page could not be closed, so that it can be paid beside the one that its buyer opened then."""
        old = world.buy(customer=buyer).json
        wire.inject(f"GET {SESSIONS}/{old['token']}", be_down)
        give_up(old["checkout_id"], customer=buyer)
        wire.mend()
        new = world.buy(customer=buyer).json
        assert new["replaced_checkout_id"] is None
        world.pay(new["url"])
        world.pass_time(5)
        world.pay(old["url"])
        hear(world, new["token"], old["token"])
        world.sweep()
        assert (refunds(world, old), refunds(world, new)) == ([12_000], [])

    def test_goes_back_where_the_first_was_cancelled_before_anybody_knew_its_page(
        self, world: World, buyer: str, wire: Wire
    ) -> None:
        wire.inject(f"POST {SESSIONS}", lose_the_answer)
        assert world.buy(customer=buyer).status == 503
        wire.mend()
        give_up(str(world.services.table.account(buyer).open_checkout_id), customer=buyer)
        (unknown,) = pages_of(world, buyer)
        new = world.buy("day_pass", customer=buyer).json
        world.pay(new["url"])
        world.pass_time(5)
        world.pay(unknown.url)
        hear(world, new["token"], unknown.id)
        world.sweep()
        assert bought(world, buyer) == ["day_pass"]
        assert refunds(world, {"token": unknown.id}) == [12_000]

    def test_is_found_behind_a_cancelled_one_that_had_replaced_it(self, world: World, buyer: str) -> None:
        """Its page is closed by the next sweep: until then it can be paid beside the one that was chosen last."""
        first, second = changed_package(world, buyer)
        give_up(second["checkout_id"], customer=buyer)
        third = world.buy("monthly", customer=buyer).json
        world.pay(third["url"])
        world.pass_time(5)
        world.pay(first["url"])
        hear(world, third["token"], first["token"])
        world.sweep()
        assert bought(world, buyer) == ["monthly"]
        assert refunds(world, first) == [12_000]

    def test_is_not_begun_by_a_click_after_the_price_changed(self, world: World, buyer: str) -> None:
        """The page was paid a moment ago, and nobody has heard of it yet."""
        offer = world.services.table.offer("ten_class_pass")
        assert offer
        token = world.buy(customer=buyer).json
        world.pay(token["url"])
        world.pass_time(4)
        world.services.table.put_offer(replace(offer, amount=13_000))
        try:
            again = world.buy(customer=buyer).json
        finally:
            world.services.table.put_offer(offer)
        assert (again["checkout_id"], again["status"]) == (token["checkout_id"], "completed")

    def test_is_another_purchase_after_a_cancelled_one_whose_page_was_closed(self, world: World, buyer: str) -> None:
        """The buyer may come back to either, whatever became of the other."""
        old = world.buy("day_pass", customer=buyer).json
        give_up(old["checkout_id"], customer=buyer)
        new = world.buy(customer=buyer).json
        world.pay(new["url"])
        hear(world, new["token"])
        again = recover(old["checkout_id"], customer=buyer).json
        assert again["checkout_id"] not in (old["checkout_id"], new["checkout_id"])
        assert again["next"] == "pay"

    def test_is_not_offered_where_the_tab_in_between_was_paid(self, world: World, buyer: str) -> None:
        first, paid, _ = (world.buy(offer, customer=buyer).json for offer in ("day_pass", "ten_class_pass", "monthly"))
        world.pay(paid["url"])
        hear(world, paid["token"])
        found = recover(first["checkout_id"], customer=buyer).json
        assert (found["checkout_id"], found["next"]) == (paid["checkout_id"], "done")

    def test_leads_to_the_one_that_was_kept(self, world: World, buyer: str) -> None:
        offers = ("day_pass", "ten_class_pass", "monthly")
        oldest, kept, later = (world.buy(offer, customer=buyer).json for offer in offers)
        world.pay(kept["url"])
        world.pass_time(5)
        world.pay(later["url"])
        hear(world, kept["token"], later["token"])
        world.sweep()
        found = recover(oldest["checkout_id"], customer=buyer).json
        assert (found["checkout_id"], found["purchase"]["status"]) == (kept["checkout_id"], "active")

    def test_needs_no_refund_where_the_bank_took_the_later_one_back(self, world: World, buyer: str) -> None:
        first, later = both_paid(world, buyer)
        hear(world, first["token"], later["token"])
        intent = world.stripe.v1.checkout.sessions.retrieve(later["token"]).payment_intent
        dispute = world.trigger("disputes", payment_intent=intent)["id"]
        world.trigger(f"disputes/{dispute}/close", status="lost")
        hear(world, later["token"])
        assert "due_at" not in row_of_pass(buyer, later["checkout_id"])

    def test_is_found_however_often_the_buyer_changed_their_mind(self, world: World, buyer: str) -> None:
        first = world.buy("day_pass", customer=buyer).json
        for n in range(15):
            last = world.buy("ten_class_pass", customer=buyer, quantity=1 + n % 2).json
        world.pay(first["url"])
        world.pass_time(5)
        world.pay(last["url"])
        hear(world, last["token"], first["token"])
        world.sweep()
        assert (refunds(world, first), refunds(world, last)) == ([], [last["amount"]])
        assert bought(world, buyer) == ["day_pass"]

    def test_is_on_the_timeline_beside_the_first(self, world: World, buyer: str) -> None:
        first, later = both_paid(world, buyer)
        hear(world, first["token"], later["token"])
        world.sweep()
        lines = world.services.table.timeline(buyer)
        for token in (first, later):
            about = [line.change for line in lines if line.purchase_id == token["checkout_id"]]
            assert any(change.startswith("payment paid") for change in about)
        decided = [line.change for line in lines if line.register == "decision"]
        assert decided == [f"refund due, paid twice: {first['checkout_id']} was paid before"]
        assert any(line.register.startswith("refund") for line in lines if line.purchase_id == later["checkout_id"])

    def test_goes_back_once_though_stripe_fails_in_between(self, world: World, buyer: str, wire: Wire) -> None:
        first, later = both_paid(world, buyer)
        hear(world, first["token"], later["token"])
        wire.inject(REFUNDS, be_down)
        world.sweep()
        assert refunds(world, later) == []
        assert world.status(later["checkout_id"], customer=buyer)["purchase"]["status"] == "refunding"
        wire.inject(REFUNDS, lose_the_answer)
        world.pass_time(3_600)
        world.sweep()
        assert refunds(world, later) == [12_000]
        wire.mend()
        world.pass_time(3_600)
        world.sweep()
        assert refunds(world, later) == [12_000]
        assert world.status(later["checkout_id"], customer=buyer)["purchase"]["status"] == "refunded"
        assert "due_at" not in row_of_pass(buyer, later["checkout_id"])

    def test_stays_where_the_shop_keeps_both(self, world: World, buyer: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PAIDUP_DUPLICATE_PAYMENTS", "keep")
        first, later = both_paid(world, buyer)
        hear(world, first["token"], later["token"])
        world.sweep()
        assert sorted(bought(world, buyer)) == ["day_pass", "ten_class_pass"]
        assert refunds(world, first) == refunds(world, later) == []

    def test_for_a_subscription_ends_it_and_goes_back(self, world: World, buyer: str) -> None:
        first, later = both_paid(world, buyer, "monthly", "yearly")
        hear(world, first["token"], later["token"])
        assert bought(world, buyer) == ["yearly"]
        world.sweep()
        assert refunds(world, later) == [4_900]
        assert refunds(world, first) == []
        page = world.stripe.v1.checkout.sessions.retrieve(later["token"], {"expand": ["subscription"]}).to_dict()
        assert page["subscription"]["status"] == "canceled"
        hear(world, later["token"])
        world.sweep()
        assert bought(world, buyer) == ["yearly"]
        assert refunds(world, later) == [4_900]

    def test_is_seen_where_the_subscription_alone_was_heard_of(self, world: World, buyer: str) -> None:
        """The event of the checkout itself was lost: the sweep asks what was paid."""
        first = world.buy("monthly", customer=buyer).json
        second = world.buy(customer=buyer).json
        world.pay(first["url"])
        world.pass_time(5)
        world.pay(second["url"])
        (created,) = [one for one in about_plan(world, first) if one["type"] == "customer.subscription.created"]
        world.deliver(created)
        assert world.work_queue() == []
        world.pass_time(61)
        world.sweep()
        hear(world, second["token"])
        world.sweep()
        assert (refunds(world, first), refunds(world, second)) == ([], [12_000])

    def test_for_a_live_session_leaves_one_booking(self, world: World, buyer: str) -> None:
        old = world.buy("double_session", customer=buyer).json
        new = world.buy("live_session", customer=buyer).json
        world.pay(new["url"])
        world.pass_time(5)
        world.pay(old["url"])
        hear(world, old["token"], new["token"])
        world.sweep()
        assert refunds(world, old) == [13_000]
        assert refunds(world, new) == []
        account = world.account(customer=buyer)
        assert account["booking"]["booking_id"] == new["checkout_id"]


def plan_of(world: World, token: Any) -> Any:
    """Return the subscription that was bought, as Stripe has it."""
    page = world.stripe.v1.checkout.sessions.retrieve(token["token"], {"expand": ["subscription"]})
    return page.to_dict()["subscription"]


def period_end(world: World, token: Any) -> int:
    """Return the second at which the subscription's present period ends."""
    return int(plan_of(world, token)["items"]["data"][0]["current_period_end"])


def about_plan(world: World, token: Any) -> list[dict[str, Any]]:
    """Return Stripe's events about the subscription that was bought, the oldest first."""
    plan = plan_of(world, token)["id"]
    return [event for event in world.events() if event["data"]["object"]["id"] == plan]


def row_of_pass(buyer: str, purchase_id: str) -> dict[str, Any]:
    """Return the pass's row as the table holds it."""
    return row_at(items.purchase_key(buyer, purchase_id))


def test_a_pass_that_the_clock_has_ended_is_due_no_more(world: World, buyer: str) -> None:
    token = world.buy(customer=buyer).json
    world.pay(token["url"])
    hear(world, token["token"])
    assert "due_at" in row_of_pass(buyer, token["checkout_id"])
    world.pass_time(182 * DAY)
    world.sweep()
    assert bought(world, buyer) == []
    assert "due_at" not in row_of_pass(buyer, token["checkout_id"])


@pytest.fixture
def support_desk(world: World, wire: Wire, tmp_path: Path) -> Iterator[Path]:
    """The folder of a local support_desk, whose functions and Stripe are this world's."""
    settings = {name: value for name, value in os.environ.items() if name.startswith("PAIDUP_")}
    aws = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    where = {"aws": aws, "settings": {"expire_sessions": settings}, "pid": os.getpid()}
    before = dict(os.environ)
    with state.hold(tmp_path / "stack", fresh=True) as folder, state.announced(folder, where):
        (folder / "clock").symlink_to(world.fakes.clock_file)
        yield folder
    os.environ.clear()
    os.environ.update(before)


def support(support_desk: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run the command `paidup` with *words*, and return what it printed: nothing but that, the log goes aside."""
    capsys.readouterr()
    why = ["--reason", "asked for it"] if words[:1] == ("support",) else []
    assert cli.main(["--folder", str(support_desk), *words, *why]) == 0
    return capsys.readouterr().out


def decisions(world: World, buyer: str) -> list[tuple[str, str | None]]:
    """Return what was decided about the buyer's purchases, and by whom."""
    return [(line.change, line.decided_by) for line in world.services.table.timeline(buyer)]


def attention(support_desk: Path, capsys: pytest.CaptureFixture[str], about: str) -> list[str]:
    """Return what `paidup attention` says *about* a pass."""
    return [line for line in support(support_desk, capsys, "attention").splitlines() if about in line]


def paid_otherwise(world: World, buyer: str, offer_id: str, amount: int, currency: str, **more: Any) -> Any:
    """Let *buyer* pay another price than was asked for, on a page that somebody made in our checkout's name, and hear
    what the page tells.
    """
    token = on_another_page(world, buyer, offer_id, amount, currency, **more)
    hear(world, token["token"])
    return token


def on_another_page(world: World, buyer: str, offer_id: str, amount: int, currency: str, **more: Any) -> Any:
    """Let *buyer* pay another price than was asked for, of which nobody hears."""
    token = world.buy(offer_id, customer=buyer).json
    page = world.stripe.v1.checkout.sessions.retrieve(token["token"])
    product: Any = {"currency": currency, "unit_amount": amount, "product_data": {"name": "By hand"}}
    if page.mode == "subscription":
        product["recurring"] = {"interval": "month"}
    metadata = dict(page.metadata.to_dict()) if page.metadata else {}
    params: Any = {
        "mode": page.mode,
        "customer": page.customer,
        "client_reference_id": buyer,
        "success_url": page.success_url,
        "metadata": metadata,
        "subscription_data" if page.mode == "subscription" else "payment_intent_data": {"metadata": metadata, **more},
        "line_items": [{"price_data": product, "quantity": 1}],
    }
    by_hand = world.stripe.v1.checkout.sessions.create(params)
    world.pay(str(by_hand.url))
    return {**token, "token": by_hand.id}


class TestAnotherAmountThanWasAskedFor:
    @pytest.mark.parametrize(
        ("offer_id", "asked", "paid"),
        [
            ("ten_class_pass", "12000 eur", "11999 eur"),
            ("ten_class_pass", "12000 eur", "12001 eur"),
            ("ten_class_pass", "12000 eur", "12000 usd"),
            ("monthly", "4900 eur", "4899 eur"),
            ("monthly", "4900 eur", "4901 eur"),
        ],
    )
    def test_grants_nothing_and_asks_for_attention(
        self,
        world: World,
        buyer: str,
        support_desk: Path,
        capsys: pytest.CaptureFixture[str],
        offer_id: str,
        asked: str,
        paid: str,
    ) -> None:
        amount, _, currency = paid.partition(" ")
        token = paid_otherwise(world, buyer, offer_id, int(amount), currency)
        assert bought(world, buyer) == []
        found = world.status(token["checkout_id"], customer=buyer)
        assert (found["state"], found["purchase"]["status"]) == ("failed", "quarantined")
        (line,) = attention(support_desk, capsys, token["checkout_id"])
        assert f"Asked for {asked}, paid {paid}." in line
        assert "amount-mismatch" in line
        assert refunds(world, token) == []
        hear(world, token["token"])
        assert len(attention(support_desk, capsys, token["checkout_id"])) == 1

    def test_is_known_though_somebody_took_what_was_asked_for_off_the_page(self, world: World, buyer: str) -> None:
        """Edited in Stripe's dashboard: the cart still tells."""
        token = world.buy(customer=buyer).json
        world.stripe.v1.checkout.sessions.update(token["token"], {"metadata": {"asked": ""}})
        assert paid_otherwise(world, buyer, "ten_class_pass", 9_900, "eur")["checkout_id"] == token["checkout_id"]
        assert bought(world, buyer) == []
        assert world.status(token["checkout_id"], customer=buyer)["purchase"]["status"] == "quarantined"

    def test_asks_for_nothing_any_more_once_it_went_back_by_hand(
        self, world: World, buyer: str, support_desk: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Somebody refunded it in Stripe's dashboard."""
        token = paid_otherwise(world, buyer, "ten_class_pass", 11_999, "eur")
        world.pass_time(4)
        refund_by_hand(world, token)
        assert state_of(world, token, buyer) == "refunded"
        assert attention(support_desk, capsys, token["checkout_id"]) == []

    def test_is_granted_by_support(
        self, world: World, buyer: str, support_desk: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        token = paid_otherwise(world, buyer, "ten_class_pass", 9_900, "eur")
        said = support(support_desk, capsys, "support", "grant", buyer, token["checkout_id"])
        assert said == f"{token['checkout_id']} of {buyer}: quarantined -> active\n"
        assert bought(world, buyer) == ["ten_class_pass"]
        assert attention(support_desk, capsys, token["checkout_id"]) == []
        hear(world, token["token"])
        assert bought(world, buyer) == ["ten_class_pass"]
        assert attention(support_desk, capsys, token["checkout_id"]) == []
        assert ("granted by support", getuser()) in decisions(world, buyer)

    def test_is_refunded_by_support(
        self, world: World, buyer: str, support_desk: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        token = paid_otherwise(world, buyer, "ten_class_pass", 9_900, "eur")
        said = support(support_desk, capsys, "support", "refund", buyer, token["checkout_id"])
        assert said == f"{token['checkout_id']} of {buyer}: quarantined -> refunded (99 EUR of 99 EUR back)\n"
        assert refunds(world, token) == [9_900]
        assert attention(support_desk, capsys, token["checkout_id"]) == []
        for again in ("refund", "grant"):
            said = support(support_desk, capsys, "support", again, buyer, token["checkout_id"])
            assert said.split(": ")[1].startswith("refunded (99 EUR of 99 EUR back) -> refunded")
        assert refunds(world, token) == [9_900]
        assert ("refunded by support", getuser()) in decisions(world, buyer)

    def test_for_a_live_session_is_booked_when_support_grants_it(
        self, world: World, buyer: str, support_desk: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        token = paid_otherwise(world, buyer, "live_session", 6_400, "eur")
        world.pass_time(3_600)
        support(support_desk, capsys, "support", "grant", buyer, token["checkout_id"])
        booking = world.account(customer=buyer)["booking"]
        assert (booking["status"], booking["purchase_id"]) == ("waiting", token["checkout_id"])
        world.sweep()
        assert refunds(world, token) == []
        accepted = request(f"POST /bookings/{booking['booking_id']}/accept", customer="mia", roles="host")
        assert accepted.json["status"] == "live"


class TestAnotherAmountThanASubscriptionAskedFor:
    def test_grants_nothing_though_its_page_is_never_heard_of(self, world: World, buyer: str) -> None:
        """A subscription says what it costs from now on, and not what was paid: its invoice does."""
        token = on_another_page(world, buyer, "monthly", 3_900, "eur")
        for event in about_plan(world, token):
            world.deliver(event)
        assert world.work_queue() == []
        world.pass_time(61)
        world.sweep()
        assert bought(world, buyer) == []
        assert world.status(token["checkout_id"], customer=buyer)["purchase"]["status"] == "quarantined"

    def test_is_granted_by_support(
        self, world: World, buyer: str, support_desk: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        token = paid_otherwise(world, buyer, "monthly", 3_900, "eur")
        said = support(support_desk, capsys, "support", "grant", buyer, token["checkout_id"])
        assert said == f"{token['checkout_id']} of {buyer}: quarantined -> active\n"
        (access,) = world.account(customer=buyer)["access"]
        assert access["offer_id"] == "monthly"
        assert access["until"] == period_end(world, token) + 7 * DAY
        assert attention(support_desk, capsys, token["checkout_id"]) == []
        world.pass_time(61)
        world.sweep()
        world.pass_time(period_end(world, token) + 60 - world.now())
        for event in about_plan(world, token):
            world.deliver(event)
        assert world.work_queue() == []
        assert bought(world, buyer) == ["monthly"]
        assert attention(support_desk, capsys, token["checkout_id"]) == []

    def test_is_refunded_by_support_and_never_renews(
        self, world: World, buyer: str, support_desk: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        token = paid_otherwise(world, buyer, "monthly", 3_900, "eur")
        said = support(support_desk, capsys, "support", "refund", buyer, token["checkout_id"])
        assert said == f"{token['checkout_id']} of {buyer}: quarantined -> refunded (39 EUR of 39 EUR back)\n"
        assert refunds(world, token) == [3_900]
        assert plan_of(world, token)["status"] == "canceled"
        assert attention(support_desk, capsys, token["checkout_id"]) == []
        hear(world, token["token"])
        assert (bought(world, buyer), state_of(world, token, buyer)) == ([], "refunded")
        assert refunds(world, token) == [3_900]

    def test_is_no_matter_where_a_trial_asks_for_nothing_yet(
        self, world: World, buyer: str, support_desk: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        token = paid_otherwise(world, buyer, "monthly", 4_900, "eur", trial_period_days=14)
        assert world.status(token["checkout_id"], customer=buyer)["purchase"]["status"] == "trialing"
        assert bought(world, buyer) == ["monthly"]
        assert attention(support_desk, capsys, token["checkout_id"]) == []


class TestSupport:
    def test_gives_any_payment_back_though_stripe_is_down_just_now(
        self, world: World, buyer: str, support_desk: Path, capsys: pytest.CaptureFixture[str], wire: Wire
    ) -> None:
        token = world.buy("live_session", customer=buyer).json
        world.pay(token["url"])
        hear(world, token["token"])
        wire.inject(REFUNDS, be_down)
        said = support(support_desk, capsys, "support", "refund", buyer, token["checkout_id"])
        assert said.endswith("active -> refunding\n")
        assert world.account(customer=buyer).get("booking") is None
        wire.mend()
        world.pass_time(120)
        world.sweep()
        assert refunds(world, token) == [6_500]

    def test_is_told_of_a_pass_that_is_not_there(
        self, world: World, buyer: str, support_desk: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for what in ("grant", "refund"):
            assert (
                cli.main(["--folder", str(support_desk), "support", what, buyer, "co_of_nobody", "--reason", "x"]) == 1
            )
            assert "There is no purchase 'co_of_nobody'" in capsys.readouterr().err

    def test_is_told_of_a_refund_that_is_stuck_until_it_went_through(
        self, world: World, buyer: str, support_desk: Path, capsys: pytest.CaptureFixture[str], wire: Wire
    ) -> None:
        first, later = both_paid(world, buyer)
        hear(world, first["token"], later["token"])
        wire.inject(REFUNDS, be_down)
        for _ in range(6):
            assert attention(support_desk, capsys, later["checkout_id"]) == []
            world.sweep()
            world.pass_time(3_600)
        (line,) = attention(support_desk, capsys, later["checkout_id"])
        assert "Could not be given back in 6 tries" in line
        wire.mend()
        world.sweep()
        assert refunds(world, later) == [12_000]
        assert attention(support_desk, capsys, later["checkout_id"]) == []

    def test_sees_a_refund_that_the_bank_takes_back_every_time(
        self, world: World, buyer: str, support_desk: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        old, new = changed_package(world, buyer)
        world.pay(new["url"])
        world.pass_time(5)
        world.pay(old["url"], REFUND_FAILS)
        hear(world, new["token"], old["token"])
        for _ in range(10):
            world.sweep()
            world.pass_time(3_600)
            hear(world, old["token"])
            for event in world.events(types=["refund.failed"]):
                world.deliver(event)
            assert world.work_queue() == []
            (line,) = attention(support_desk, capsys, old["checkout_id"])
            assert "refund-returned" in line

    def test_sees_what_waits_behind_a_hundred_others(
        self, world: World, buyer: str, support_desk: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for n in range(101):
            row = EventRecord(
                provider="stripe",
                event_id=f"evt_old_{n}",
                type="invoice.paid",
                status=EventStatus.FAILED,
                received_at=world.now() - 1_000,
                purge_at=world.now() + 1_000,
                body="{}",
            )
            world.services.table.log(row)
        token = paid_otherwise(world, buyer, "ten_class_pass", 9_900, "eur")
        try:
            assert len(attention(support_desk, capsys, token["checkout_id"])) == 1
        finally:
            for n in range(101):
                key = items.serialize(items.event_key("stripe", f"evt_old_{n}"))
                boto3.client("dynamodb").delete_item(TableName=os.environ["PAIDUP_TABLE"], Key=key)

    def test_has_nothing_to_give_back_where_nothing_was_paid(
        self, world: World, buyer: str, support_desk: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        token = world.buy(customer=buyer).json
        world.pay(token["url"], "delayed_failure")
        world.pass_time(7 * DAY)
        hear(world, token["token"])
        words = ["support", "refund", buyer, token["checkout_id"], "--reason", "asked"]
        assert cli.main(["--folder", str(support_desk), *words]) == 1
        assert "Nothing was paid" in capsys.readouterr().err
        assert state_of(world, token, buyer) == "failed"

    def test_grants_nothing_that_went_back_by_hand(
        self, world: World, buyer: str, support_desk: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        token = paid_otherwise(world, buyer, "live_session", 6_400, "eur")
        world.pass_time(4)
        refund_by_hand(world, token)
        assert "refunded" in support(support_desk, capsys, "support", "grant", buyer, token["checkout_id"])
        assert world.account(customer=buyer).get("booking") is None

    def test_sees_an_event_that_could_not_be_settled(
        self, world: World, buyer: str, support_desk: Path, capsys: pytest.CaptureFixture[str], wire: Wire
    ) -> None:
        token = world.buy("monthly", customer=buyer).json
        world.pay(token["url"])
        (event,) = [one for one in told(world, token["token"]) if one["type"] == "checkout.session.completed"]
        wire.inject("GET /v1/checkout/sessions", be_down)
        event = of_another_version(event)
        world.deliver(event)
        assert world.work_queue(1) != []
        (line,) = attention(support_desk, capsys, event["id"])
        assert "failed" in line
        wire.mend()
        boto3.client("sqs").purge_queue(QueueUrl=os.environ["PAIDUP_WEBHOOK_QUEUE_URL"])
        world.deliver(event)
        assert attention(support_desk, capsys, event["id"]) == []


def test_a_slow_payment_that_failed_leaves_no_dead_page_in_the_way_in_either_order(world: World, buyer: str) -> None:
    """The word of the failure may come before the word that the page was finished."""
    token = world.buy(customer=buyer).json
    world.http.post(token["url"], data={"method": "delayed_failure"})
    world.pass_time(7 * 86_400)
    told = [event for event in world.events() if event["data"]["object"].get("id") == token["token"]]
    failed, completed = told[-1], told[0]
    assert [failed["type"], completed["type"]] == [
        "checkout.session.async_payment_failed",
        "checkout.session.completed",
    ]
    for event in (failed, completed):
        assert world.deliver(event).status == 200
    assert world.status(token["checkout_id"], customer=buyer)["state"] == "failed"
    again = world.buy(customer=buyer)
    assert again.status == 201
    assert again.json["token"] != token["token"]
