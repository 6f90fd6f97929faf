"""The shop of a customer who has a subscription, in a browser: it marks what runs, and sells no second one."""

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.storefront.web import (
    LATER,
    LOST,
    OFFERS,
    Answer,
    Web,
    a_purchase,
    access,
    account,
    an_offer,
    preview,
    refusal,
)

YEARLY = an_offer("yearly", "Yearly membership", kind="subscription", amount=49_000, interval="year")
PREVIEW = "POST /purchases/co_1/change?preview=true"
WHOLE = "() => document.fonts.ready.then(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done))))"
WATCH = """() => { window.shifts = [];
    new PerformanceObserver((list) => window.shifts.push(...list.getEntries().map((one) => one.value)))
        .observe({ type: "layout-shift", buffered: true }); }"""


@pytest.fixture
def member(web: Web) -> Web:
    """A shop with two memberships, and a customer with the monthly one and seven of ten classes."""
    web.answers["GET /offers"] = Answer(body={"offers": [*OFFERS, YEARLY]})
    ten = a_purchase(purchase_id="co_7", offer_id="ten", kind="pass", renews_at=None, uses=10, uses_left=7)
    left = access("co_7", "ten", kind="pass", uses=10, uses_left=7)
    has = [access("co_1", "monthly"), left]
    web.answers["GET /subscription-status"] = account(a_purchase(), ten, access=has)
    web.answers[PREVIEW] = preview()
    return web


def offer(page: Page, name: str) -> Locator:
    """Return the card of the offer *name*."""
    return page.get_by_role("main").get_by_role("listitem").filter(has=page.get_by_role("heading", name=name))


def already_subscribed() -> Answer:
    """Return how the API refuses a second subscription beside co_1."""
    refused = refusal(409, "already-subscribed")
    members = {"purchase_id": "co_1", "purchase_status": "active", "offer_id": "monthly"}
    return Answer(status=409, body=refused.body | members, headers=refused.headers)


def test_the_shop_marks_what_the_customer_has(ada: Page, member: Web) -> None:
    ada.goto("/")

    expect(offer(ada, "Monthly membership")).to_contain_text("You have this")
    expect(offer(ada, "Ten classes")).to_contain_text("You have this: 7 left")
    expect(offer(ada, "Yearly membership")).not_to_contain_text("You have this")
    expect(offer(ada, "Live session")).not_to_contain_text("You have this")
    expect(ada.get_by_role("button", name="Buy Ten classes")).to_be_visible()
    expect(ada.get_by_role("button", name="membership")).to_have_count(0)


def test_the_change_is_offered_in_place_of_a_second_subscription(ada: Page, member: Web) -> None:
    ada.goto("/")

    ada.get_by_role("link", name="Change to Yearly membership").click()

    expect(ada.get_by_role("heading", name="Yearly membership: what you pay")).to_be_focused()
    expect(ada.get_by_role("main")).to_contain_text("Now€441")
    assert ada.url == f"{member.shop}/account"
    assert member.times("POST /payment-tokens") == 0


def test_what_the_customer_has_leads_to_its_card_in_the_account(ada: Page, member: Web) -> None:
    ada.goto("/")

    ada.get_by_role("link", name="Manage it: Monthly membership").click()

    expect(ada.get_by_role("heading", name="Monthly membership")).to_be_focused()
    assert member.times("POST /purchases/co_1/change") == 0


@pytest.mark.parametrize(
    ("changes", "mark", "why"),
    [
        ({"status": "past_due"}, "Yours: payment overdue", "a bill of it is open. Pay that first."),
        ({"status": "unpaid"}, "Yours: unpaid", "a bill of it is open. Pay that first."),
        ({"cancel_at": LATER, "renews_at": None}, "Yours: about to end", "Resume it, then change."),
        ({"status": "paused"}, "Yours: paused", "one of the two at a time."),
    ],
)
def test_a_subscription_that_cannot_be_changed_now_says_why_beside_the_others(
    ada: Page, member: Web, changes: dict[str, object], mark: str, why: str
) -> None:
    member.answers["GET /subscription-status"] = account(a_purchase(**changes))

    ada.goto("/")

    expect(offer(ada, "Monthly membership")).to_contain_text(mark)
    expect(offer(ada, "Yearly membership")).to_contain_text(why)
    ada.get_by_role("link", name="See your subscription: Monthly membership").click()
    expect(ada.get_by_role("heading", name="Monthly membership")).to_be_focused()


@pytest.mark.parametrize("status", ["ended", "canceled", "failed", "refunded", "charged_back"])
def test_a_subscription_that_is_over_stands_in_nobodys_way(ada: Page, member: Web, status: str) -> None:
    member.answers["GET /subscription-status"] = account(a_purchase(status=status))

    ada.goto("/")

    expect(ada.get_by_role("button", name="Buy Monthly membership")).to_be_visible()
    expect(ada.get_by_role("button", name="Buy Yearly membership")).to_be_visible()


@pytest.mark.parametrize("beside", [{"group": "addons"}, {"allow_several": True}])
def test_what_may_be_had_beside_a_subscription_is_sold_beside_it(
    ada: Page, member: Web, beside: dict[str, object]
) -> None:
    member.answers["GET /offers"] = Answer(body={"offers": [*OFFERS, YEARLY | beside]})

    ada.goto("/")

    expect(ada.get_by_role("button", name="Buy Yearly membership")).to_be_visible()
    expect(offer(ada, "Monthly membership")).to_contain_text("You have this")


def test_a_subscription_that_is_no_longer_sold_is_changed_to_one_that_is(ada: Page, member: Web) -> None:
    member.answers["GET /subscription-status"] = account(a_purchase(offer_id="of last year"))

    ada.goto("/")
    ada.get_by_role("link", name="Change to Yearly membership").click()

    expect(ada.get_by_role("heading", name="Yearly membership: what you pay")).to_be_focused()


def test_a_second_subscription_that_the_api_refuses_leads_to_the_one_that_runs(ada: Page, member: Web) -> None:
    has = member.answers["GET /subscription-status"]
    assert isinstance(has, Answer)
    member.answers["GET /subscription-status"] = [account(), has]
    member.answers["POST /payment-tokens"] = already_subscribed()
    ada.goto("/")

    ada.get_by_role("button", name="Buy Yearly membership").click()

    told = "You have Monthly membership already, so nothing was bought and nothing was charged. You can change it here."
    expect(ada.get_by_role("status").filter(has_text="already")).to_have_text(told)
    expect(ada.get_by_role("heading", name="Yearly membership: what you pay")).to_be_focused()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"status": "past_due"}, "Pay its open bill, or use another card."),
        ({"cancel_at": LATER, "renews_at": None}, "It ends on 15 January 2027: resume it to keep it."),
    ],
)
def test_a_refused_second_subscription_says_what_to_do_about_the_first(
    ada: Page, member: Web, changes: dict[str, object], told: str
) -> None:
    member.answers["GET /subscription-status"] = [account(), account(a_purchase(**changes))]
    member.answers["POST /payment-tokens"] = already_subscribed()
    ada.goto("/")

    ada.get_by_role("button", name="Buy Yearly membership").click()

    expect(ada.get_by_role("status").filter(has_text="already")).to_contain_text(told)
    expect(ada.get_by_role("heading", name="Monthly membership")).to_be_focused()


def test_going_on_with_a_checkout_beside_a_subscription_leads_to_the_subscription(ada: Page, member: Web) -> None:
    member.answers["GET /checkouts/co_1"] = Answer(
        body={"checkout_id": "co_1", "offer_id": "yearly", "quantity": 1, "amount": 49_000, "currency": "eur"}
        | {"digits": 2, "status": "expired", "next": "recover", "remaining_s": 0, "expires_at": LATER}
    )
    member.answers["POST /checkouts/co_1/recover"] = already_subscribed()
    ada.goto("/cancel?checkout_id=co_1")

    ada.get_by_role("button", name="Go on where you were").click()

    expect(ada.get_by_role("status").filter(has_text="already")).to_contain_text("You have Monthly membership already")


def test_a_stranger_who_turns_out_to_have_a_subscription_is_led_to_the_change(page: Page, member: Web) -> None:
    page.goto("/")

    page.get_by_role("button", name="Buy Yearly membership").click()
    page.get_by_role("link", name="Sign in as Ada").click()

    expect(page.get_by_role("heading", name="Yearly membership: what you pay")).to_be_focused()
    assert member.times("POST /payment-tokens") == 0


def test_a_shop_that_cannot_see_the_account_sells_all_the_same(ada: Page, member: Web) -> None:
    member.answers["GET /subscription-status"] = LOST

    ada.goto("/")

    expect(ada.get_by_role("button", name="Buy Yearly membership")).to_be_visible()


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("path", ["/", "/account"])
def test_nothing_moves_while_a_page_loads(ada: Page, member: Web, path: str, width: int) -> None:
    ada.set_viewport_size({"width": width, "height": 844})
    ada.add_init_script(f"({WATCH})()")

    ada.goto(path)
    expect(ada.get_by_role("heading", name="Monthly membership")).to_be_visible()
    ada.evaluate(WHOLE)

    assert sum(ada.evaluate("window.shifts")) == 0
