"""A purchase, from the click to the pass, by every channel that can hear of it."""

from tests.world import World


def test_a_paid_checkout_is_active_when_its_webhook_was_answered(world: World) -> None:
    token = world.buy().json
    world.pay(token["url"])
    completed = world.events(types=["checkout.session.completed"])
    assert world.deliver(completed[0]).json == {"received": "settled"}
    found = world.status(token["checkout_id"])
    assert found["state"] == "active"
    assert found["attempt_after_ms"] == 0
    assert found["purchase"]["offer_id"] == "ten_class_pass"
