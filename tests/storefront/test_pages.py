"""The pages in a browser: what a visitor sees, and that nobody is ever left without a way on."""

import json
import re

import pytest
from playwright.sync_api import Page, expect

from tests.storefront.web import (
    LOST,
    SILENT,
    Answer,
    Web,
    a_pass,
    account,
    problem,
    purchase,
)

pytestmark = pytest.mark.xdist_group("storefront")

EVERY_TITLE = """
    globalThis.titles = [];
    globalThis.announced = [];
    const note = (list, text) => text !== undefined && text !== list.at(-1) && list.push(text);
    new MutationObserver(() => {
        note(titles, document.querySelector("h1")?.textContent);
        note(announced, document.querySelector("#announcer")?.textContent);
    }).observe(document, { childList: true, subtree: true, characterData: true });
"""
OUTAGE = problem(503, "The payment provider does not answer", "Try again in a few seconds.")


def heading(page: Page, text: str | re.Pattern[str]) -> None:
    """Wait for the page's title to be *text*."""
    expect(page.get_by_role("heading", level=1)).to_have_text(text)


def test_the_shop_shows_each_offer_with_its_price_and_terms(page: Page, web: Web) -> None:
    page.goto("/")
    offers = page.get_by_role("main").get_by_role("listitem")
    expect(offers).to_have_count(3)
    expect(offers.filter(has_text="Ten classes")).to_contain_text("€120")
    expect(offers.filter(has_text="Ten classes")).to_contain_text("valid for 180 days")
    expect(offers.filter(has_text="Monthly")).to_contain_text("€49.50 / month")
    expect(offers.filter(has_text="Live session")).to_contain_text("¥900")


def test_names_are_text_and_never_markup(page: Page, web: Web) -> None:
    name = "<img src=x onerror=alert(1)>"
    web.answers["GET /offers"] = Answer(
        body={"offers": [{"offer_id": "x", "name": name, "kind": "pass", "amount": 1, "currency": "eur"}]}
    )
    page.goto("/")
    expect(page.get_by_role("heading", name=name)).to_be_visible()


def test_an_empty_shop_says_so(page: Page, web: Web) -> None:
    web.answers["GET /offers"] = Answer(body={"offers": []})
    page.goto("/")
    expect(page.get_by_role("heading", name="Nothing is for sale right now")).to_be_visible()


def test_a_shop_that_cannot_load_offers_to_try_again(page: Page, web: Web) -> None:
    web.answers["GET /offers"] = [LOST, Answer(body={"offers": []})]
    page.goto("/")
    expect(page.get_by_role("alert")).to_contain_text("We cannot reach the shop")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", name="Nothing is for sale right now")).to_be_visible()


def test_buying_signs_a_stranger_in_and_goes_on_by_itself(page: Page, web: Web) -> None:
    page.goto("/")
    page.get_by_role("button", name="Buy Monthly membership").click()
    page.get_by_role("link", name="Sign in as Ada").click()
    page.wait_for_url(web.payment_page)
    assert web.times("POST /payment-tokens") == 1
    returns = {"success_url": f"{web.shop}/success", "cancel_url": f"{web.shop}/cancel"}
    assert json.loads(web.sent["POST /payment-tokens"]) == {"offer_id": "monthly"} | returns


def test_a_double_click_buys_once(ada: Page, web: Web) -> None:
    ada.goto("/")
    ada.get_by_role("button", name="Buy Ten classes").dblclick()
    ada.wait_for_url(web.payment_page)
    assert web.times("POST /payment-tokens") == 1


def test_everything_can_be_done_with_the_keyboard(ada: Page, web: Web) -> None:
    ada.goto("/")
    ada.keyboard.press("Tab")
    expect(ada.get_by_role("link", name="Skip to the content")).to_be_focused()
    ada.keyboard.press("Enter")
    ada.keyboard.press("Tab")
    expect(ada.get_by_role("button", name="Buy Ten classes")).to_be_focused()
    ada.keyboard.press("Enter")
    ada.wait_for_url(web.payment_page)


def test_a_purchase_that_does_not_begin_says_why_and_can_be_tried_again(ada: Page, web: Web) -> None:
    opened = web.answers["POST /payment-tokens"]
    assert isinstance(opened, Answer)
    web.answers["POST /payment-tokens"] = [OUTAGE, opened]
    ada.goto("/")
    ada.get_by_role("button", name="Buy Ten classes").click()
    expect(ada.get_by_role("alert")).to_contain_text("The payment provider does not answer")
    expect(ada.get_by_role("alert")).to_contain_text("Try again in a few seconds.")
    expect(ada.get_by_role("alert")).to_contain_text("request-7")
    ada.get_by_role("button", name="Buy Ten classes").click()
    ada.wait_for_url(web.payment_page)


def test_a_shop_that_never_answers_lets_the_buyer_go_after_a_while(ada: Page, web: Web) -> None:
    web.answers["POST /payment-tokens"] = SILENT
    ada.clock.install()
    ada.goto("/")
    buy = ada.get_by_role("button", name="Buy Ten classes")
    with ada.expect_request("**/payment-tokens"):
        buy.click()
    expect(buy).to_be_disabled()
    ada.clock.fast_forward(15_000)
    expect(ada.get_by_role("alert")).to_contain_text("This is taking too long")
    expect(buy).to_be_enabled()


def test_a_payment_page_that_never_opens_lets_the_buyer_go_too(ada: Page, web: Web) -> None:
    web.answers["GET /pay"] = Answer(status=204)  # a browser stays where it is
    ada.clock.install()
    ada.goto("/")
    buy = ada.get_by_role("button", name="Buy Ten classes")
    with ada.expect_response("**/pay"):
        buy.click()
    ada.clock.fast_forward(12_000)
    expect(ada.get_by_role("alert")).to_contain_text("The next page does not open")
    expect(buy).to_be_enabled()


def test_a_buyer_who_goes_back_finds_the_shop_ready_and_the_purchase_remembered(ada: Page, web: Web) -> None:
    ada.goto("/")
    ada.get_by_role("button", name="Buy Monthly membership").click()
    ada.wait_for_url(web.payment_page)
    ada.go_back()
    expect(ada.get_by_role("heading", name="You were buying Monthly membership")).to_be_visible()
    expect(ada.get_by_role("button", name="Buy Monthly membership")).to_be_enabled()


def test_a_sign_in_that_has_ended_is_asked_for_again_and_the_purchase_goes_on(ada: Page, web: Web) -> None:
    opened = web.answers["POST /payment-tokens"]
    assert isinstance(opened, Answer)
    web.answers["POST /payment-tokens"] = [Answer(status=401, body={"message": "Unauthorized"}), opened]
    ada.goto("/")
    ada.get_by_role("button", name="Buy Ten classes").click()
    expect(ada.get_by_role("alert")).to_contain_text("Please sign in again")
    ada.get_by_role("button", name="Sign in and go on").click()
    ada.get_by_role("link", name="Sign in as Ada").click()
    ada.wait_for_url(web.payment_page)


@pytest.mark.parametrize("claims", [{"nonce": "another"}, {"aud": "another shop"}])
def test_a_token_that_is_not_meant_for_this_sign_in_is_not_taken(page: Page, web: Web, claims: dict[str, str]) -> None:
    web.claims = claims
    page.goto("/")
    page.get_by_role("button", name="Buy Ten classes").click()
    page.get_by_role("link", name="Sign in as Ada").click()
    expect(page.get_by_role("alert")).to_contain_text("You are not signed in")
    assert page.evaluate("localStorage.length") == 0
    assert web.times("POST /payment-tokens") == 0


def test_a_sign_in_that_fails_stops_there_and_does_not_begin_another(page: Page, web: Web) -> None:
    web.answers["POST /pool/token"] = Answer(status=400, body={"error": "invalid_grant"})
    page.goto("/")
    page.get_by_role("button", name="Buy Ten classes").click()
    page.get_by_role("link", name="Sign in as Ada").click()
    expect(page.get_by_role("alert")).to_contain_text("You are not signed in")
    expect(page.get_by_role("button", name="Sign in again")).to_be_visible()
    expect(page.get_by_role("button", name="Buy Ten classes")).to_be_enabled()
    assert page.url == f"{web.shop}/"


def test_leaving_the_sign_in_leads_back_to_the_shop(page: Page, web: Web) -> None:
    page.goto("/")
    page.get_by_role("button", name="Buy Ten classes").click()
    page.get_by_role("link", name="Leave").click()
    expect(page.get_by_role("alert")).to_contain_text("You are not signed in")
    expect(page.get_by_role("button", name="Buy Ten classes")).to_be_enabled()


def test_signing_out_signs_out_every_tab(ada: Page, web: Web) -> None:
    ada.goto("/account")
    other = ada.context.new_page()
    other.goto("/account")
    expect(other.get_by_role("heading", name="Nothing here yet")).to_be_visible()
    ada.get_by_role("button", name="Sign out").click()
    ada.get_by_role("link", name="Signed out").click()
    expect(ada.get_by_role("banner").get_by_role("button", name="Sign in")).to_be_visible()
    expect(other.get_by_role("heading", name="Sign in to see your passes")).to_be_visible()


def test_a_purchase_is_confirmed_try_by_try_and_then_active(ada: Page, web: Web) -> None:
    moments = [{"what": "payment paid", "at": 1_790_000_000, "road": "poll", "heard_at": 1_790_000_004}]
    web.answers["GET /subscription-status/co_1"] = [purchase("confirming")] * 2 + [
        purchase("active", a_pass(), moments=moments)
    ]
    ada.add_init_script(EVERY_TITLE)
    ada.goto("/success?checkout_id=co_1")
    heading(ada, "Your pass is active")
    tries = [f"Confirming your purchase… {attempt}/15" for attempt in (1, 2, 3)]
    assert ada.evaluate("titles")[-4:] == [*tries, "Your pass is active"]
    expect(ada.get_by_role("heading", level=1)).to_be_focused()
    expect(ada.get_by_role("status")).to_contain_text("Your pass is active")
    expect(ada.get_by_role("main")).to_contain_text("Monthly membership")
    expect(ada.get_by_role("main")).to_contain_text("Renews on15 January 2027")
    ada.get_by_text("What happened").click()
    expect(ada.get_by_text("payment paid · heard 4 s later by poll")).to_be_visible()
    expect(ada.get_by_role("link", name="See your account")).to_have_attribute("href", "/account")


def test_a_lost_connection_does_not_end_the_confirming(ada: Page, web: Web) -> None:
    web.answers["GET /subscription-status/co_1"] = [
        purchase("confirming"),
        LOST,
        OUTAGE,
        purchase("active", a_pass()),
    ]
    ada.add_init_script(EVERY_TITLE)
    ada.goto("/success?checkout_id=co_1")
    heading(ada, "Your pass is active")
    assert any("We cannot reach the shop. We keep trying" in text for text in ada.evaluate("announced"))


def test_what_is_not_confirmed_in_time_leaves_ways_on(ada: Page, web: Web) -> None:
    web.answers["GET /subscription-status/co_1"] = [purchase("confirming")] * 15 + [purchase("active", a_pass())]
    ada.goto("/success?checkout_id=co_1")
    heading(ada, "Not confirmed yet")
    assert web.times("GET /subscription-status/co_1") == 15
    expect(ada.get_by_role("link", name="See your account")).to_be_visible()
    ada.get_by_role("button", name="Missing a pass?").click()
    expect(ada.get_by_text("All that you paid for in the last 30 days is already here.")).to_be_visible()
    ada.get_by_role("button", name="Check again").click()
    heading(ada, "Your pass is active")


def test_a_hidden_tab_asks_nothing_until_it_is_seen_again(ada: Page, web: Web) -> None:
    web.answers["GET /subscription-status/co_1"] = [purchase("confirming"), purchase("active", a_pass())]
    ada.add_init_script("Object.defineProperty(document, 'visibilityState', { value: 'hidden', writable: true })")
    ada.goto("/success?checkout_id=co_1")
    heading(ada, "Confirming your purchase… ")
    assert web.times("GET /subscription-status/co_1") == 0
    ada.evaluate("document.visibilityState = 'visible'; document.dispatchEvent(new Event('visibilitychange'))")
    heading(ada, "Your pass is active")


@pytest.mark.parametrize(
    ("answer", "title"),
    [
        (purchase("failed"), "The payment did not go through"),
        (purchase("failed", a_pass(status="failed")), "The payment did not go through"),
        (purchase("failed", a_pass(status="disputed")), "This pass: on hold"),
        (purchase("expired"), "The payment page has expired"),
        (purchase("expired", moments=[{"what": "checkout invalidated", "at": 1}]), "You chose something else"),
        (purchase("expired", a_pass(status="ended")), "This pass: ended"),
        (purchase("refunded", a_pass(status="refunded", refunded=4950)), "This pass: refunded"),
    ],
)
def test_a_purchase_that_ends_otherwise_says_what_happened_and_what_to_do(
    ada: Page, web: Web, answer: Answer, title: str
) -> None:
    web.answers["GET /subscription-status/co_1"] = answer
    ada.goto("/success?checkout_id=co_1")
    heading(ada, title)
    expect(ada.get_by_role("link", name="Back to the shop")).to_be_visible()
    expect(ada.get_by_role("link", name="See your account")).to_be_visible()


def test_a_buyer_who_is_no_longer_signed_in_comes_back_to_the_same_purchase(page: Page, web: Web) -> None:
    web.answers["GET /subscription-status/co_1"] = purchase("active", a_pass())
    page.goto("/success?checkout_id=co_1")
    heading(page, "Sign in to see your purchase")
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Sign in as Ada").click()
    heading(page, "Your pass is active")


def test_another_customers_purchase_is_not_shown_but_is_no_dead_end(ada: Page, web: Web) -> None:
    web.answers["GET /subscription-status/co_1"] = problem(404, "Not found", "Check the id.")
    ada.goto("/success?checkout_id=co_1")
    heading(ada, "We cannot find this in your account")
    expect(ada.get_by_role("link", name="See your account")).to_be_visible()


def test_a_buyer_who_comes_back_by_another_way_is_remembered(ada: Page, web: Web) -> None:
    ada.goto("/")
    ada.get_by_role("button", name="Buy Monthly membership").click()
    ada.wait_for_url(web.payment_page)
    ada.goto("/cancel")
    heading(ada, "Nothing was charged")
    ada.get_by_role("button", name="Continue to payment").click()
    ada.wait_for_url(web.payment_page)
    ada.goto("/")
    expect(ada.get_by_role("heading", name="You were buying Monthly membership")).to_be_visible()
    web.answers["GET /subscription-status/co_1"] = purchase("active", a_pass())
    ada.get_by_role("link", name="I have paid").click()
    heading(ada, "Your pass is active")
    ada.get_by_role("link", name="Back to the shop").click()
    expect(ada.get_by_role("button", name="Buy Ten classes")).to_be_visible()
    expect(ada.get_by_role("heading", name="You were buying Monthly membership")).to_have_count(0)


@pytest.mark.parametrize("path", ["/success", "/cancel"])
def test_a_page_of_a_purchase_that_nobody_made_leads_on(page: Page, web: Web, path: str) -> None:
    page.goto(path)
    expect(page.get_by_role("main").get_by_role("link", name="Back to the shop")).to_be_visible()
    expect(page.get_by_role("main").get_by_role("link", name=re.compile("your account", re.IGNORECASE))).to_be_visible()


def test_the_account_says_in_plain_words_how_every_pass_stands(ada: Page, web: Web) -> None:
    web.answers["GET /subscription-status"] = account(
        a_pass(),
        a_pass(offer_id="ten", kind="pass", renews_at=None, until=1_800_000_000),
        a_pass(offer_id="live", kind="live_session", renews_at=None, until=None),
        a_pass(status="past_due"),
        a_pass(cancel_at=1_800_000_000, renews_at=None),
        a_pass(offer_id="of last year", status="refunded", refunded=4950),
    )
    ada.goto("/account")
    passes = ada.get_by_role("main").get_by_role("listitem")
    expect(passes).to_have_count(6)
    for nth, words in enumerate(
        [
            ["Monthly membership", "Active", "€49.50", "Renews on15 January 2027"],
            ["Ten classes", "Active", "Valid until15 January 2027"],
            ["Live session", "Active", "Validwithout an end"],
            ["Payment overdue", "It is tried again", "Access until22 January 2027"],
            ["Active", "Ends on15 January 2027"],
            ["of last year", "Refunded", "The money is on its way back to you"],
        ]
    ):
        for word in words:
            expect(passes.nth(nth)).to_contain_text(word)


def test_an_open_checkout_can_be_paid_from_the_account(ada: Page, web: Web) -> None:
    open_one = {"checkout_id": "co_1", "offer_id": "monthly", "url": web.payment_page, "expires_at": 1_800_000_000}
    web.answers["GET /subscription-status"] = account(checkout=open_one)
    ada.goto("/account")
    expect(ada.get_by_role("heading", name="You were buying Monthly membership")).to_be_visible()
    ada.get_by_role("link", name="Continue to payment").click()
    ada.wait_for_url(web.payment_page)


def test_a_missing_pass_is_looked_for_and_shown(ada: Page, web: Web) -> None:
    found = {"scanned": 2, "granted": ["co_1"], "unchanged": 1, "problems": [{"ref": "cs_9", "why": "odd"}]}
    web.answers["POST /sync"] = Answer(body=found)
    web.answers["GET /subscription-status"] = [account(), account(a_pass())]
    ada.goto("/account")
    expect(ada.get_by_role("heading", name="Nothing here yet")).to_be_visible()
    ada.get_by_role("button", name="Missing a pass?").click()
    told = ada.get_by_role("status").filter(has_text="Found")
    expect(told).to_contain_text("one pass was added to your account")
    expect(told).to_contain_text("One payment could not be read just now")
    expect(ada.get_by_role("heading", name="Monthly membership")).to_be_visible()


def test_looking_too_often_is_asked_to_wait_as_long_as_the_api_says(ada: Page, web: Web) -> None:
    web.answers["POST /sync"] = problem(429, "Too many requests", "Wait.", **{"Retry-After": "2"})
    ada.goto("/account")
    ada.get_by_role("button", name="Missing a pass?").click()
    expect(ada.get_by_role("alert")).to_contain_text("One moment, please")
    expect(ada.get_by_role("button", name="Missing a pass?")).to_contain_text("Again in 2 s")
    expect(ada.get_by_role("button", name="Missing a pass?")).to_be_disabled()
    expect(ada.get_by_role("button", name="Missing a pass?")).to_be_enabled()
