"""After paying, in a browser: what became of a purchase and what a customer has; never a dead end."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.storefront.web import (
    LOST,
    Answer,
    Web,
    a_purchase,
    account,
    problem,
    purchase,
)

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


def test_a_purchase_is_confirmed_try_by_try_and_then_active(ada: Page, web: Web) -> None:
    moments = [
        {
            "what": "payment paid",
            "at": 1_790_000_000,
            "channel": "poll",
            "said_by": "stripe",
            "settled_at": 1_790_000_004,
        }
    ]
    web.answers["GET /subscription-status/co_1"] = [purchase("confirming")] * 2 + [
        purchase("active", a_purchase(), moments=moments)
    ]
    ada.add_init_script(EVERY_TITLE)
    ada.goto("/success?checkout_id=co_1")
    heading(ada, "Your subscription is active")
    tries = [f"Confirming your purchase… {attempt}/15" for attempt in (1, 2, 3)]
    assert ada.evaluate("titles")[-4:] == [*tries, "Your subscription is active"]
    expect(ada.get_by_role("heading", level=1)).to_be_focused()
    expect(ada.get_by_role("status")).to_contain_text("Your subscription is active")
    expect(ada.get_by_role("main")).to_contain_text("Monthly membership")
    expect(ada.get_by_role("main")).to_contain_text("Next payment€49.50 on 15 January 2027")
    ada.get_by_text("What happened").click()
    expect(ada.get_by_text("payment paid · heard 4 s later by poll")).to_be_visible()
    expect(ada.get_by_role("link", name="See your account")).to_have_attribute("href", "/account")


def test_a_lost_connection_does_not_end_the_confirming(ada: Page, web: Web) -> None:
    web.answers["GET /subscription-status/co_1"] = [
        purchase("confirming"),
        LOST,
        OUTAGE,
        purchase("active", a_purchase()),
    ]
    ada.add_init_script(EVERY_TITLE)
    ada.goto("/success?checkout_id=co_1")
    heading(ada, "Your subscription is active")
    assert any("We cannot reach the shop. We keep trying" in text for text in ada.evaluate("announced"))


def test_what_is_not_confirmed_in_time_leaves_ways_on(ada: Page, web: Web) -> None:
    web.answers["GET /subscription-status/co_1"] = [purchase("confirming")] * 15 + [purchase("active", a_purchase())]
    ada.goto("/success?checkout_id=co_1")
    heading(ada, "Not confirmed yet")
    assert web.times("GET /subscription-status/co_1") == 15
    expect(ada.get_by_role("link", name="See your account")).to_be_visible()
    ada.get_by_role("button", name="Missing a pass?").click()
    expect(ada.get_by_text("All that you paid for in the last 30 days is already here.")).to_be_visible()
    ada.get_by_role("button", name="Check again").click()
    heading(ada, "Your subscription is active")


def test_a_hidden_tab_asks_nothing_until_it_is_seen_again(ada: Page, web: Web) -> None:
    web.answers["GET /subscription-status/co_1"] = [purchase("confirming"), purchase("active", a_purchase())]
    ada.add_init_script("Object.defineProperty(document, 'visibilityState', { value: 'hidden', writable: true })")
    ada.goto("/success?checkout_id=co_1")
    heading(ada, "Confirming your purchase… ")
    assert web.times("GET /subscription-status/co_1") == 0
    ada.evaluate("document.visibilityState = 'visible'; document.dispatchEvent(new Event('visibilitychange'))")
    heading(ada, "Your subscription is active")


@pytest.mark.parametrize(
    ("answer", "title"),
    [
        (purchase("failed"), "The payment did not go through"),
        (purchase("failed", a_purchase(status="failed")), "The payment did not go through"),
        (purchase("failed", a_purchase(status="disputed")), "This purchase is on hold"),
        (purchase("failed", a_purchase(status="quarantined")), "We are checking this payment"),
        (purchase("expired"), "The payment page has expired"),
        (purchase("expired", moments=[{"what": "checkout invalidated", "at": 1}]), "The payment page has expired"),
        (purchase("expired", a_purchase(status="ended")), "This purchase: ended"),
        (purchase("refunded", a_purchase(status="refunded", refunded=4950)), "Your money was sent back"),
        (purchase("refunded", a_purchase(status="refunding")), "Your money is on its way back"),
        (purchase("refunded", a_purchase(status="charged_back")), "Your bank took this payment back"),
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
    web.answers["GET /subscription-status/co_1"] = purchase("active", a_purchase())
    page.goto("/success?checkout_id=co_1")
    heading(page, "Sign in to see your purchase")
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Sign in as Ada").click()
    heading(page, "Your subscription is active")


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
    ada.get_by_role("link", name="Continue to payment").click()
    ada.wait_for_url(web.payment_page)
    ada.goto("/")
    expect(ada.get_by_role("heading", name="You were buying Monthly membership")).to_be_visible()
    web.answers["GET /subscription-status/co_1"] = purchase("active", a_purchase())
    ada.get_by_role("link", name="I have paid").click()
    heading(ada, "Your subscription is active")
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
        a_purchase(),
        a_purchase(offer_id="ten", kind="pass", renews_at=None, until=1_800_000_000),
        a_purchase(offer_id="day", kind="pass", renews_at=None, until=None),
        a_purchase(offer_id="live", kind="live_session", status="ended", renews_at=None, until=None),
        a_purchase(status="past_due"),
        a_purchase(cancel_at=1_800_000_000, renews_at=None),
        a_purchase(offer_id="of last year", status="refunded", refunded=4950),
    )
    ada.goto("/account")
    purchases = ada.get_by_role("main").get_by_role("listitem")
    expect(purchases).to_have_count(7)
    for nth, words in enumerate(
        [
            ["Monthly membership", "Active", "Next payment€49.50 on 15 January 2027"],
            ["Ten classes", "Active", "Valid until15 January 2027"],
            ["day", "Active", "Validwithout an end"],
            ["Live session", "Ended", "This session is over. You can book another one in the shop."],
            ["Payment overdue", "It is tried again", "Access until22 January 2027"],
            ["Active", "Ends on15 January 2027"],
            ["of last year", "Refunded", "Your money was sent back"],
        ]
    ):
        for word in words:
            expect(purchases.nth(nth)).to_contain_text(word)


def test_an_open_checkout_can_be_paid_from_the_account(ada: Page, web: Web) -> None:
    web.answers["GET /subscription-status"] = account(checkout={"checkout_id": "co_1"})
    ada.goto("/account")
    expect(ada.get_by_role("heading", name="You were buying Monthly membership")).to_be_visible()
    ada.get_by_role("link", name="Continue to payment").click()
    ada.wait_for_url(web.payment_page)


def test_a_missing_pass_is_looked_for_and_shown(ada: Page, web: Web) -> None:
    found = {"scanned": 2, "granted": ["co_1"], "unchanged": 1, "problems": [{"ref": "cs_9", "why": "odd"}]}
    web.answers["POST /sync"] = Answer(body=found)
    web.answers["GET /subscription-status"] = [account(), account(a_purchase())]
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
