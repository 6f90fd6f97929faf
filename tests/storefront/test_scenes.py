"""The scenes of a payment page, against the whole local stack: nobody waits at a busy button for ten seconds, the
identity provider is asked for one renewal, and what is shown afterwards is right.
"""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.storefront.conftest import visiting
from tests.storefront.scene import SEEN, Customer
from tests.storefront.whole import Stack, pay, title

LONGEST_S = 10


@pytest.fixture
def regular(chromium: Browser, stack: Stack, request: pytest.FixtureRequest) -> Iterator[Customer]:
    """A customer who has signed in, and bought nothing yet."""
    with visiting(chromium, base_url=stack.url) as context:
        customer = Customer(stack, context)
        customer.comes(f"scene-{abs(hash(request.node.name))}@example.com")
        yield customer


def buy_button(page: Page) -> Locator:
    return page.get_by_role("button", name="Buy Ten classes")


def payment_page(page: Page) -> Locator:
    return page.get_by_label("Card number")


def headed(page: Page, text: str) -> Locator:
    return page.get_by_role("heading", level=1, name=text, exact=True)


def assert_is_told_and_kept(page: Page, words: str) -> None:
    """Check that the button is ready again, that the page says *words*, and that the cart is kept."""
    expect(page.get_by_role("alert").last).to_contain_text(words)
    expect(buy_button(page)).to_be_enabled()
    assert json.loads(page.evaluate("sessionStorage['paidup.cart']"))["cart"]["offer_id"] == "ten_class_pass"


def assert_buys(regular: Customer, page: Page) -> None:
    """Check that a click leads to the payment page, and paying to the pass."""
    buy_button(page).click()
    regular.sees(payment_page(page), within_s=LONGEST_S)
    regular.pays(page)
    regular.sees(headed(page, "Your pass is active"))


def test_a_token_that_ends_in_four_minutes_is_renewed_once_and_keeps_nobody_waiting(regular: Customer) -> None:
    regular.ages(left_s=240)
    page = regular.tab("/")

    buy_button(page).click()
    expect(payment_page(page)).to_be_visible()  # while the clock stands still
    regular.pays(page)

    regular.sees(headed(page, "Your pass is active"))
    assert regular.refreshed == [200]


def test_tabs_that_were_in_the_background_for_ten_minutes_are_right_at_once(regular: Customer) -> None:
    regular.ages(left_s=500)
    members, shop = regular.tab("/members-area"), regular.tab("/")
    title(members, "Members only")
    expect(buy_button(shop)).to_be_visible()
    for tab in (members, shop):
        tab.evaluate(SEEN, "hidden")
    regular.line.is_up = False
    regular.context.clock.fast_forward(600_000)  # the token ends meanwhile
    regular.buys("monthly")

    regular.line.is_up = True
    for tab in (members, shop):
        tab.evaluate(SEEN, "visible")

    title(members, "Welcome, member")  # while the clock stands still
    assert_buys(regular, shop)
    assert regular.refreshed == [200]


def test_a_renewal_that_hangs_is_told_in_time_keeps_the_cart_and_can_be_tried_again(regular: Customer) -> None:
    regular.ages(left_s=-1)
    with regular.holding("**/identity/token"):
        page = regular.tab("/")
        regular.sees(buy_button(page))  # what the customer has is not waited for any longer
        buy_button(page).click()
        regular.passes(LONGEST_S)

        assert_is_told_and_kept(page, "This is taking too long")

    assert_buys(regular, page)
    assert regular.refreshed == [200]


@pytest.mark.parametrize("silently", [False, True], ids=["closed", "in silence"])
def test_a_socket_that_dies_is_made_up_for_and_replaced(regular: Customer, silently: bool) -> None:
    checkout = regular.buys("monthly")
    page = regular.tab("/members-area")
    regular.sees(headed(page, "Welcome, member"))
    regular.line.is_up = False
    if not silently:
        regular.line.cut()
    regular.is_cancelled(checkout)

    if silently:
        regular.context.clock.fast_forward(285_000)  # until it is asked whether it lives

    regular.sees(headed(page, "Members only"))
    regular.line.is_up = True
    regular.buys("monthly")
    regular.sees(headed(page, "Welcome, member"))


def test_half_a_minute_without_a_network_is_told_in_time_and_made_up_for(regular: Customer) -> None:
    checkout = regular.buys("monthly")
    regular.ages(left_s=310)  # it would be renewed meanwhile
    members, shop = regular.tab("/members-area"), regular.tab("/")
    regular.sees(headed(members, "Welcome, member"))
    with regular.offline():
        buy_button(shop).click()
        regular.passes(LONGEST_S)

        assert_is_told_and_kept(shop, "We cannot reach the shop")
        regular.is_cancelled(checkout)
        regular.passes(30 - LONGEST_S)
        expect(members.locator("#connection")).to_contain_text("No connection")

    regular.sees(headed(members, "Members only"))
    expect(members.locator("#connection")).to_be_hidden()
    assert_buys(regular, shop)
    assert regular.refreshed == [200]


def test_two_tabs_that_buy_at_once_with_an_ended_token_share_one_renewal_and_one_payment_page(
    regular: Customer,
) -> None:
    regular.ages(left_s=-1)
    with regular.holding("**/identity/token", goes_on=True) as held:
        tabs = [regular.tab("/"), regular.tab("/")]
        regular.until(lambda: held)
        regular.settles()

    for tab in tabs:
        regular.sees(buy_button(tab))
        buy_button(tab).click()
    for tab in tabs:
        regular.sees(payment_page(tab), within_s=LONGEST_S)

    assert regular.refreshed == [200]
    assert tabs[0].url == tabs[1].url


def test_a_refresh_token_that_another_tab_has_used_is_not_the_end_of_a_purchase(regular: Customer) -> None:
    regular.ages(left_s=-1)
    shared = regular.renews_elsewhere()
    page = regular.tab("/")
    regular.until(lambda: regular.refreshed)

    regular.shares(page, shared)

    regular.sees(buy_button(page))
    assert_buys(regular, page)
    assert regular.refreshed == [400]


def test_what_is_no_change_of_access_is_not_told_and_renews_nothing(regular: Customer) -> None:
    page = regular.tab("/members-area")
    title(page, "Members only")
    regular.until(lambda: regular.line.told)
    regular.line.told.clear()
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "/billing-token" in request.url else None)
    regular.orders("monthly")
    regular.orders("ten_class_pass")

    regular.buys("ten_class_pass")
    regular.sees(headed(page, "Welcome, member"))

    assert regular.line.versions == [1]
    assert len(asked) == 1


def test_a_webhook_that_comes_a_minute_after_the_poll_changes_nothing_and_pushes_nothing(
    regular: Customer, stack: Stack
) -> None:
    with stack.standing_still():
        stack.faults(delay_ms=60_000)
        members, shop = regular.tab("/members-area"), regular.tab("/")
        title(members, "Members only")
        shop.get_by_role("button", name="Buy Monthly membership").click()
        regular.sees(payment_page(shop))
        pay(shop)
        stack.pass_time(5)  # the poll asks the provider from the third second on
        regular.sees(headed(shop, "Your subscription is active"))
        regular.sees(headed(members, "Welcome, member"))
        shop.get_by_text("What happened").click()
        expect(shop.get_by_role("main")).to_contain_text("by poll")
        confirmed, late = regular.account, stack.undelivered()
        regular.line.told.clear()

        stack.pass_time(60)

        assert [stack.outcome(event_id) for event_id in late] == ["settled"] * 3
        assert regular.account == confirmed
        stack.faults()
        regular.buys("ten_class_pass")  # what is pushed comes in order
        regular.until(lambda: regular.line.versions)
        assert regular.line.versions == [confirmed["billing_version"] + 1]
