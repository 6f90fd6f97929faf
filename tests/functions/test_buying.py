"""create_payment_token: a buyer has one open checkout, and every click leads to it."""

from dataclasses import replace
from typing import Any

import pytest
from paidup.flows.recover import cancel
from paidup.model.checkout import reserved
from stripe.checkout import Session

from tests.functions.door import pages_of, written
from tests.functions.wire import Exchange, Wire, lose_the_answer, lose_the_request, pass_on
from tests.world import ORIGIN, World, changed

CREATE = "POST /v1/checkout/sessions"


def session(world: World, token: str) -> Session:
    return world.stripe.v1.checkout.sessions.retrieve(token, {"expand": ["payment_intent", "subscription"]})


def test_a_first_click_opens_a_checkout(world: World, buyer: str) -> None:
    answer = world.buy(customer=buyer, quantity=2)
    assert answer.status == 201
    assert answer.headers["content-type"] == "application/json"
    token = answer.json
    assert token["checkout_id"].startswith("co_")
    assert token["status"] == "open"
    assert token["provider"] == "stripe"
    assert (token["offer_id"], token["quantity"]) == ("ten_class_pass", 2)
    assert (token["amount"], token["currency"]) == (24_000, "eur")
    assert token["expires_at"] == session(world, token["token"]).expires_at
    assert token["url"] == session(world, token["token"]).url
    assert token.get("replaced_checkout_id") is None


def test_a_double_click_gets_the_same_token(world: World, buyer: str, wire: Wire) -> None:
    first, second = world.buy(customer=buyer), world.buy(customer=buyer)
    assert (first.status, second.status) == (201, 200)
    assert first.json == second.json
    assert wire.count(CREATE) == 1


def test_the_price_is_the_offers_and_its_sum_rides_to_stripe(world: World, buyer: str) -> None:
    token = world.buy("day_pass", customer=buyer, quantity=3).json
    page = session(world, token["token"])
    assert (page.amount_total, page.currency, page.mode) == (4_500, "eur", "payment")


def test_a_new_price_replaces_the_open_checkout_of_the_old_one(world: World, buyer: str) -> None:
    offer = world.services.table.offer("day_pass")
    assert offer
    old = world.buy("day_pass", customer=buyer).json
    world.services.table.put_offer(replace(offer, amount=1_800))
    try:
        new = world.buy("day_pass", customer=buyer)
    finally:
        world.services.table.put_offer(offer)
    assert new.status == 201
    assert (old["amount"], new.json["amount"]) == (1_500, 1_800)
    assert new.json["replaced_checkout_id"] == old["checkout_id"]


def test_our_metadata_rides_on_the_session_and_its_payment(world: World, buyer: str) -> None:
    token = world.buy(customer=buyer).json
    world.pay(token["url"])
    page = session(world, token["token"])
    wanted = {"customer_id": buyer, "checkout_id": token["checkout_id"], "offer_id": "ten_class_pass"}
    assert page.client_reference_id == buyer
    assert page.payment_intent
    for thing in (page, page.payment_intent):
        assert dict(thing.to_dict()["metadata"]).items() >= wanted.items()  # type: ignore[union-attr]  # expanded above


def test_our_metadata_rides_on_the_subscription(world: World, buyer: str) -> None:
    token = world.buy("monthly", customer=buyer).json
    world.pay(token["url"])
    page = session(world, token["token"]).to_dict()
    wanted = {"customer_id": buyer, "checkout_id": token["checkout_id"], "offer_id": "monthly"}
    assert page["mode"] == "subscription"
    assert page["subscription"]["metadata"].items() >= wanted.items()
    assert page["metadata"].items() >= wanted.items()


@pytest.mark.parametrize(
    ("lifetime_s", "lasts_s"),
    [
        (1_800, 2_100),  # Stripe takes none under half an hour, by its own clock, and it may be asked a while later
        (3_600, 3_600),
        (43_200, 43_200),
        (86_400, 86_400),
    ],
)
def test_a_page_is_closed_to_payment_when_the_checkouts_lifetime_is_over(
    world: World, buyer: str, monkeypatch: pytest.MonkeyPatch, lifetime_s: int, lasts_s: int
) -> None:
    monkeypatch.setenv("PAIDUP_CHECKOUT_LIFETIME_S", str(lifetime_s))
    token = world.buy(customer=buyer).json
    page = session(world, token["token"])
    assert token["expires_at"] == page.expires_at
    assert page.expires_at == world.now() + lasts_s
    world.pass_time(page.expires_at - world.now() - 30)
    assert session(world, token["token"]).status == "open"
    assert world.account(customer=buyer)["checkout"]["checkout_id"] == token["checkout_id"]
    world.pass_time(30)
    assert session(world, token["token"]).status == "expired"
    assert world.account(customer=buyer).get("checkout") is None


def test_one_customer_of_ours_is_one_customer_of_stripes(world: World, buyer: str) -> None:
    first = session(world, world.buy(customer=buyer).json["token"])
    second = session(world, world.buy("day_pass", customer=buyer).json["token"])
    assert first.customer == second.customer
    customer = world.stripe.v1.customers.retrieve(str(first.customer)).to_dict()
    assert customer["email"] == f"{buyer}@example.com"
    assert customer["metadata"] == {"customer_id": buyer}


def test_a_buyer_whom_stripe_has_forgotten_is_made_known_to_it_again(world: World, buyer: str) -> None:
    """Somebody deleted the customer in Stripe's dashboard; that is no reason never to sell to them again."""
    first = world.buy(customer=buyer).json
    forgotten = str(session(world, first["token"]).customer)
    world.stripe.v1.customers.delete(forgotten)
    for offer_id in ("day_pass", "monthly"):
        again = world.buy(offer_id, customer=buyer)
        assert again.status == 201, again.text
        assert session(world, again.json["token"]).customer not in (None, forgotten)
    customers = {page.customer for page in pages_of(world, buyer)}
    assert len(customers) == 2


def test_a_page_is_asked_for_under_another_key_for_another_customer(world: World, buyer: str, wire: Wire) -> None:
    """Stripe refuses other parameters under a key that it has seen."""
    forgotten = session(world, world.buy(customer=buyer).json["token"]).customer
    world.stripe.v1.customers.delete(str(forgotten))
    keys = []

    def note(exchange: Exchange) -> None:
        keys.append(exchange.headers["Idempotency-Key"])
        pass_on(exchange)

    wire.inject(CREATE, note)
    assert world.buy("day_pass", customer=buyer).status == 201
    assert len(keys) == len(set(keys)) == 2


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (f"{ORIGIN}/thanks", f"{ORIGIN}/thanks?checkout_id={{}}"),
        (f"{ORIGIN}/thanks?lang=de", f"{ORIGIN}/thanks?lang=de&checkout_id={{}}"),
        (f"{ORIGIN}/app#/thanks", f"{ORIGIN}/app?checkout_id={{}}#/thanks"),
        (ORIGIN, f"{ORIGIN}?checkout_id={{}}"),
    ],
)
def test_the_buyer_comes_back_with_the_checkouts_id(world: World, buyer: str, given: str, sent: str) -> None:
    token = world.buy(customer=buyer, success_url=given, cancel_url=given).json
    page = session(world, token["token"])
    assert page.success_url == sent.format(token["checkout_id"])
    assert page.cancel_url == sent.format(token["checkout_id"])


def test_a_buyer_who_names_no_place_comes_back_to_the_shop(world: World, buyer: str) -> None:
    token = world.buy(customer=buyer).json
    page = session(world, token["token"])
    assert page.success_url == f"{ORIGIN}/success?checkout_id={token['checkout_id']}"
    assert str(page.cancel_url).startswith(f"{ORIGIN}/")
    assert str(page.cancel_url).endswith(f"checkout_id={token['checkout_id']}")


def test_a_page_made_while_its_buyer_gave_up_is_closed_by_the_next_sweep(world: World, buyer: str, wire: Wire) -> None:
    def give_up_meanwhile(exchange: Exchange) -> None:
        made = exchange.forward()
        cancel(buyer, str(world.services.table.account(buyer).open_checkout_id), world.services, now=world.now())
        exchange.answer(*made)

    wire.inject(CREATE, give_up_meanwhile)
    assert world.buy(customer=buyer).status == 409
    wire.mend()
    (page,) = pages_of(world, buyer)
    assert session(world, page.id).status == "open"
    world.sweep()
    assert session(world, page.id).status == "expired"


class TestAnotherCart:
    def test_replaces_the_open_checkout(self, world: World, buyer: str) -> None:
        old = world.buy(customer=buyer).json
        new = world.buy("day_pass", customer=buyer)
        assert new.status == 201
        assert new.json["replaced_checkout_id"] == old["checkout_id"]
        assert new.json["token"] != old["token"]
        assert world.status(old["checkout_id"], customer=buyer)["state"] == "expired"
        assert world.account(customer=buyer)["checkout"]["checkout_id"] == new.json["checkout_id"]

    def test_ends_the_old_checkout_in_the_transaction_that_reserves_the_new_one(self, world: World, buyer: str) -> None:
        old = world.buy(customer=buyer).json
        with written(world) as calls:
            new = world.buy("day_pass", customer=buyer).json
        ended, begun = f"CHECKOUT#{old['checkout_id']}", f"CHECKOUT#{new['checkout_id']}"
        reserved_at_once, page_recorded = {"ACCOUNT", ended, begun}, {"ACCOUNT", begun}
        assert calls == [("TransactWriteItems", reserved_at_once), ("TransactWriteItems", page_recorded)]

    def test_may_be_the_same_offer_in_another_quantity(self, world: World, buyer: str) -> None:
        old = world.buy(customer=buyer, quantity=1).json
        new = world.buy(customer=buyer, quantity=2)
        assert new.status == 201
        assert new.json["replaced_checkout_id"] == old["checkout_id"]

    def test_comes_back_as_a_new_checkout(self, world: World, buyer: str) -> None:
        """The first page is about to be closed, so nobody is sent to it again."""
        first = world.buy(customer=buyer).json
        world.buy("day_pass", customer=buyer)
        again = world.buy(customer=buyer)
        assert again.status == 201
        assert again.json["checkout_id"] != first["checkout_id"]

    def test_has_the_old_page_closed_by_the_next_sweep(self, world: World, buyer: str) -> None:
        old = world.buy(customer=buyer).json
        new = world.buy("day_pass", customer=buyer).json
        assert session(world, old["token"]).status == "open"
        world.sweep()
        assert session(world, old["token"]).status == "expired"
        assert session(world, new["token"]).status == "open"
        assert world.services.table.checkout(buyer, old["checkout_id"]).due_at is None  # type: ignore[union-attr]  # it is there

    def test_does_not_lose_what_was_paid_on_the_old_page(self, world: World, buyer: str) -> None:
        old = world.buy(customer=buyer).json
        world.buy("day_pass", customer=buyer)
        world.pay(old["url"])
        world.sweep()
        found = world.status(old["checkout_id"], customer=buyer)
        assert found["state"] == "active"
        assert found["purchase"]["offer_id"] == "ten_class_pass"


class TestAPaidCheckoutOfWhichNoWebhookCame:
    def test_is_found_when_the_same_cart_is_bought_again(self, world: World, buyer: str) -> None:
        """Who clicks twice is told that it is bought, and not charged twice."""
        paid = world.buy(customer=buyer).json
        world.pay(paid["url"])
        world.pass_time(4)
        again = world.buy(customer=buyer)
        assert again.status == 200
        assert again.json["checkout_id"] == paid["checkout_id"]
        assert again.json["status"] == "completed"
        assert again.json.get("url") is None
        assert again.json.get("token") is None
        assert world.status(paid["checkout_id"], customer=buyer)["state"] == "active"

    def test_is_settled_when_another_cart_is_bought(self, world: World, buyer: str) -> None:
        paid = world.buy(customer=buyer).json
        world.pay(paid["url"])
        world.pass_time(4)
        other = world.buy("day_pass", customer=buyer)
        assert other.status == 201
        assert other.json.get("replaced_checkout_id") is None
        assert world.status(paid["checkout_id"], customer=buyer)["state"] == "active"


class TestAnIdempotencyKey:
    def test_gives_back_its_checkout(self, world: World, buyer: str) -> None:
        key = {"Idempotency-Key": "a-click"}
        first, second = world.buy(customer=buyer, headers=key), world.buy(customer=buyer, headers=key)
        assert (first.status, second.status) == (201, 200)
        assert first.json == second.json

    def test_gives_it_back_when_it_is_paid_too(self, world: World, buyer: str) -> None:
        key = {"Idempotency-Key": "a-click"}
        token = world.buy(customer=buyer, headers=key).json
        world.pay(token["url"])
        world.hear_everything()
        again = world.buy(customer=buyer, headers=key)
        assert again.status == 200
        assert again.json["checkout_id"] == token["checkout_id"]
        assert again.json["status"] == "completed"

    def test_gives_back_the_checkout_that_it_found_open(self, world: World, buyer: str) -> None:
        """The second tab's answer was lost; until it asks again, the first tab has paid."""
        token, key = world.buy(customer=buyer).json, {"Idempotency-Key": "a-click"}
        assert world.buy(customer=buyer, headers=key).json["checkout_id"] == token["checkout_id"]
        world.pay(token["url"])
        world.hear_everything()
        again = world.buy(customer=buyer, headers=key)
        assert again.status == 200
        assert (again.json["checkout_id"], again.json["status"]) == (token["checkout_id"], "completed")

    def test_gives_back_the_checkout_that_it_found_paid(self, world: World, buyer: str) -> None:
        token, key = world.buy(customer=buyer).json, {"Idempotency-Key": "a-click"}
        world.pay(token["url"])
        world.pass_time(4)
        for _ in range(2):
            found = world.buy(customer=buyer, headers=key)
            assert found.status == 200
            assert (found.json["checkout_id"], found.json["status"]) == (token["checkout_id"], "completed")

    def test_opens_no_second_checkout_when_another_has_replaced_its_own(self, world: World, buyer: str) -> None:
        """A slow click that is sent again must not undo what the buyer chose since."""
        key = {"Idempotency-Key": "a-click"}
        token = world.buy(customer=buyer, headers=key).json
        newer = world.buy("day_pass", customer=buyer).json
        again = world.buy(customer=buyer, headers=key)
        assert again.status == 200
        assert again.json["checkout_id"] == token["checkout_id"]
        assert again.json["status"] == "invalidated"
        assert again.json.get("url") is None
        assert world.account(customer=buyer)["checkout"]["checkout_id"] == newer["checkout_id"]

    def test_is_for_one_cart(self, world: World, buyer: str) -> None:
        key = {"Idempotency-Key": "a-click"}
        world.buy(customer=buyer, headers=key)
        other = world.buy("day_pass", customer=buyer, headers=key)
        assert other.status == 422
        assert other.json["field"] == "Idempotency-Key"
        assert "new key" in other.json["detail"]

    def test_still_gives_back_its_checkout_after_the_price_changed(self, world: World, buyer: str) -> None:
        offer = world.services.table.offer("day_pass")
        assert offer
        key = {"Idempotency-Key": "a-click"}
        token = world.buy("day_pass", customer=buyer, headers=key).json
        world.services.table.put_offer(replace(offer, amount=1_800))
        try:
            again = world.buy("day_pass", customer=buyer, headers=key)
        finally:
            world.services.table.put_offer(offer)
        assert (again.status, again.json) == (200, token)

    def test_gives_it_back_when_its_page_has_expired(self, world: World, buyer: str) -> None:
        """Stripe would hand out the dead page under this key: the caller hears that it is over."""
        key = {"Idempotency-Key": "a-click"}
        token = world.buy(customer=buyer, headers=key).json
        world.pass_time(86_400)
        again = world.buy(customer=buyer, headers=key)
        assert again.status == 200
        assert again.json["checkout_id"] == token["checkout_id"]
        assert again.json["status"] == "expired"
        assert again.json.get("url") is None

    def test_is_the_customers_own(self, world: World, buyer: str) -> None:
        key = {"Idempotency-Key": "a-click"}
        other = world.customer()
        mine, theirs = world.buy(customer=buyer, headers=key), world.buy(customer=other, headers=key)
        assert (mine.status, theirs.status) == (201, 201)
        assert mine.json["checkout_id"] != theirs.json["checkout_id"]


class TestACrash:
    def test_is_finished_by_a_click_under_another_address(self, world: World, buyer: str, wire: Wire) -> None:
        """The buyer changed their address in between: Stripe is asked otherwise, and so under another key."""
        wire.inject(CREATE, lose_the_answer)
        assert world.buy(customer=buyer).status == 503
        wire.mend()
        world.pass_time(3)
        account = world.services.table.account(buyer)
        moved = replace(account, customers={})
        world.services.table.commit(changed(account, moved, now=world.now()))
        other = str(world.stripe.v1.customers.create({"metadata": {"customer_id": buyer}}).id)
        account = world.services.table.account(buyer)
        known = account.known_as(f"stripe#{other}")
        world.services.table.commit(changed(account, known, now=world.now()))
        assert world.buy(customer=buyer).status == 503
        again = world.buy(customer=buyer)
        assert (again.status, again.json["status"]) == (200, "open")

    def test_before_stripe_was_asked_is_finished_by_the_next_click(self, world: World, buyer: str, wire: Wire) -> None:
        wire.inject(CREATE, lose_the_request)
        assert world.buy(customer=buyer).status == 503
        wire.mend()
        world.pass_time(3)  # a click that comes sooner waits for the one before
        again = world.buy(customer=buyer)
        assert again.status in (200, 201)
        assert again.json["status"] == "open"
        assert [page.id for page in pages_of(world, buyer)] == [again.json["token"]]

    def test_before_the_page_was_recorded_is_finished_with_the_same_page(
        self, world: World, buyer: str, wire: Wire
    ) -> None:
        wire.inject(CREATE, lose_the_answer)
        assert world.buy(customer=buyer, context={"step": 3}).status == 503
        wire.mend()
        world.pass_time(3)
        again = world.buy(customer=buyer)
        assert again.json["status"] == "open"
        assert [page.id for page in pages_of(world, buyer)] == [again.json["token"]]
        checkout = world.services.table.checkout(buyer, again.json["checkout_id"])
        assert checkout
        assert checkout.context == {"step": 3}

    def test_of_the_request_that_reserved_is_finished_by_another(self, world: World, buyer: str) -> None:
        """What is left is the reservation alone, as if its Lambda had been killed."""
        world.pass_time(1)
        reservation = reserve(world, buyer, at=world.now() - 5)
        again = world.buy(customer=buyer)
        assert again.status == 200
        assert again.json["checkout_id"] == reservation
        assert again.json["status"] == "open"
        assert [page.id for page in pages_of(world, buyer)] == [again.json["token"]]

    def test_is_finished_by_the_next_click_until_its_two_minutes_are_over(
        self, world: World, buyer: str, wire: Wire
    ) -> None:
        wire.inject(CREATE, lose_the_answer)
        assert world.buy(customer=buyer).status == 503
        wire.mend()
        half = world.services.table.load_open(buyer).checkout
        assert half
        world.pass_time(half.created_at + 119 - world.now())
        again = world.buy(customer=buyer)
        assert (again.status, again.json["checkout_id"]) == (200, half.checkout_id)
        assert [page.id for page in pages_of(world, buyer)] == [again.json["token"]]

    def test_blocks_nobody_for_longer_than_two_minutes(self, world: World, buyer: str) -> None:
        reservation = reserve(world, buyer, at=world.now() - 120)
        fresh = world.buy(customer=buyer)
        assert fresh.status == 201
        assert fresh.json["checkout_id"] != reservation
        world.sweep()
        assert world.status(reservation, customer=buyer)["state"] == "expired"
        assert world.account(customer=buyer)["checkout"]["checkout_id"] == fresh.json["checkout_id"]

    @pytest.mark.parametrize("lifetime_s", [86_400, 3_600])
    def test_after_two_minutes_is_finished_by_the_same_idempotency_key(
        self, world: World, buyer: str, wire: Wire, monkeypatch: pytest.MonkeyPatch, lifetime_s: int
    ) -> None:
        monkeypatch.setenv("PAIDUP_CHECKOUT_LIFETIME_S", str(lifetime_s))
        key = {"Idempotency-Key": "a-click"}
        wire.inject(CREATE, lose_the_answer)
        assert world.buy(customer=buyer, headers=key).status == 503
        wire.mend()
        world.pass_time(121)
        again = world.buy(customer=buyer, headers=key)
        assert again.status == 201
        assert again.json["status"] == "open"
        assert again.json.get("replaced_checkout_id") is None
        assert [page.id for page in pages_of(world, buyer)] == [again.json["token"]]


def reserve(world: World, buyer: str, *, at: int) -> str:
    """Leave what a request leaves that died right after it had reserved."""
    offer = world.services.table.offer("ten_class_pass")
    assert offer
    account = world.services.table.account(buyer)
    checkout = reserved(
        checkout_id=f"co_of_{buyer}",
        customer_id=buyer,
        cart=offer.cart(1),
        provider="stripe",
        success_url=f"{ORIGIN}/success",
        cancel_url=f"{ORIGIN}/cancel",
        lifetime_s=86_400,
        now=at,
    )
    owned = replace(account, open_checkout_id=checkout.checkout_id)
    world.services.table.commit(changed(account, owned, checkout, now=at))
    return checkout.checkout_id


@pytest.mark.parametrize("context", [{"step": "payment", "cart": [1, 2], "ü": None, "price": 9.5}, {}])
def test_the_callers_context_is_kept(world: World, buyer: str, context: dict[str, Any]) -> None:
    token = world.buy(customer=buyer, context=context).json
    checkout = world.services.table.checkout(buyer, token["checkout_id"])
    assert checkout
    assert checkout.context == context


def test_the_newest_context_is_kept(world: World, buyer: str) -> None:
    token = world.buy(customer=buyer, context={"step": 1}).json
    assert world.buy(customer=buyer, context={"step": 2}).json["token"] == token["token"]
    world.buy(customer=buyer)
    checkout = world.services.table.checkout(buyer, token["checkout_id"])
    assert checkout
    assert checkout.context == {"step": 2}


def test_an_expired_checkout_makes_room(world: World, buyer: str) -> None:
    """By the clock alone: no sweep has run."""
    old = world.buy(customer=buyer).json
    world.pass_time(86_400)
    assert world.account(customer=buyer).get("checkout") is None
    new = world.buy(customer=buyer)
    assert new.status == 201
    assert new.json["checkout_id"] != old["checkout_id"]
