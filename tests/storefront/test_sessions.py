"""Live sessions in a browser: the customer's countdown, and the page of those who give them."""

import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, expect

from tests.storefront.test_accessibility import faults
from tests.storefront.web import LATER, Answer, Web, a_booking, a_purchase, account, checkout, problem, purchase

MINUTE_MS = 60_000
ALL_ANNOUNCED = """
    globalThis.announced = [];
    new MutationObserver(() => {
        const text = document.querySelector("#announcer")?.textContent;
        if (text && text !== announced.at(-1)) announced.push(text);
    }).observe(document, { childList: true, subtree: true, characterData: true });
"""


def a_session(**changes: object) -> dict[str, object]:
    """Return the pass of a live session."""
    usual = {"kind": "live_session", "offer_id": "live", "amount": 900, "currency": "jpy"}
    return a_purchase(**(usual | {"digits": 0, "renews_at": None, "until": None} | changes))


def be_somebody(page: Page, role: str) -> None:
    """Let the page's visitor have *role*."""
    part = urlsafe_b64encode(json.dumps({"roles": [role]}).encode()).decode().rstrip("=")
    page.add_init_script(
        f"""const known = JSON.parse(localStorage.getItem("paidup.session"));
        localStorage.setItem("paidup.session", JSON.stringify({{ ...known, token: "e30.{part}.signature" }}));"""
    )


def give_sessions(page: Page) -> None:
    """Let the page's visitor be one who gives sessions."""
    be_somebody(page, "host")


def stop_clock(page: Page) -> None:
    """Let a page's time pass by `run_for` alone, however long this machine takes."""
    page.clock.install(time=0)
    page.clock.pause_at(datetime.now(UTC))


def test_a_booking_is_counted_down_for_eyes_and_told_now_and_then_to_ears(ada: Page, web: Web) -> None:
    waits = account(a_session(), booking=a_booking(remaining_s=610))
    web.answers["GET /subscription-status"] = waits
    ada.add_init_script(ALL_ANNOUNCED)
    stop_clock(ada)
    ada.goto("/account")
    timer = ada.get_by_role("timer", name="Time left to accept it")
    expect(timer).to_have_text("10:10")
    ada.clock.run_for(1_000)
    expect(timer).to_have_text("10:09")
    for _ in range(6):
        ada.clock.run_for(MINUTE_MS)
    expect(timer).to_have_text("4:09")
    assert ada.evaluate("announced") == [
        "10 min left to accept your live session.",
        "5 min left to accept your live session.",
    ]


def test_when_somebody_accepts_the_page_says_so_by_itself(ada: Page, web: Web) -> None:
    live = a_booking(status="live", remaining_s=0, accepted_at=LATER)
    web.answers["GET /subscription-status"] = [
        account(a_session(), booking=a_booking()),
        account(a_session(), booking=live),
    ]
    ada.clock.install()
    ada.goto("/account")
    expect(ada.get_by_role("timer")).to_be_visible()
    ada.clock.run_for(10_000)
    session = ada.get_by_role("region", name="Live session")
    expect(session).to_contain_text("Accepted")
    expect(session.get_by_role("button")).to_have_count(0)
    expect(ada.get_by_role("status").last).to_have_text("Your live session was accepted.")


MONEY_GOES_BACK = "If nobody does, or you cancel it, your money goes back by itself."
MONEY_IS_KEPT = "If nobody does, or you cancel it, what you paid is kept, and your next booking is free of charge."


@pytest.mark.parametrize(
    ("becomes", "told", "said"),
    [
        ("refunded", MONEY_GOES_BACK, "The booking is cancelled: your money goes back by itself."),
        ("credited", MONEY_IS_KEPT, "The booking is cancelled: what you paid is kept, and your next booking is free"),
    ],
)
def test_a_booking_that_waits_says_what_becomes_of_the_money(
    ada: Page, web: Web, becomes: str, told: str, said: str
) -> None:
    waits = a_booking(if_called_off=becomes)
    web.answers["GET /subscription-status"] = account(a_session(), booking=waits)
    web.answers["POST /bookings/co_1/cancel"] = Answer(body=waits | {"status": "cancelled", "ended_at": LATER})
    ada.goto("/account")
    expect(ada.get_by_role("region", name="Live session")).to_contain_text(told)
    ada.get_by_role("button", name="Cancel the booking").click()
    expect(ada.get_by_role("status").last).to_contain_text(said)


def test_when_the_time_is_over_the_page_looks_and_tells_what_became_of_the_money(ada: Page, web: Web) -> None:
    back = a_session(status="refunding", refund_why="nobody accepted it in time")
    web.answers["GET /subscription-status"] = [account(a_session(), booking=a_booking(remaining_s=3)), account(back)]
    expired = Answer(body={"bookings": [a_booking(status="expired", ended_at=LATER)]})
    web.answers["GET /bookings"] = [Answer(body={"bookings": [a_booking()]}), expired]
    stop_clock(ada)
    ada.goto("/account")
    expect(ada.get_by_role("timer")).to_have_text("0:03")
    ada.clock.run_for(3_100)
    past = ada.get_by_role("region", name="Earlier live sessions")
    expect(past).to_contain_text(
        "Nobody accepted it in time, so this payment of JP¥900 goes back to your card or account"
    )


def test_a_booking_is_cancelled_while_it_waits(ada: Page, web: Web) -> None:
    web.answers["POST /bookings/co_1/cancel"] = Answer(body=a_booking(status="cancelled", ended_at=LATER))
    web.answers["GET /subscription-status"] = [
        account(a_session(), booking=a_booking()),
        account(a_session(status="refunding", refund_why="it was cancelled")),
    ]
    web.answers["GET /bookings"] = [
        Answer(body={"bookings": []}),
        Answer(body={"bookings": [a_booking(status="cancelled", ended_at=LATER)]}),
    ]
    ada.goto("/account")
    ada.get_by_role("button", name="Cancel the booking").click()
    past = ada.get_by_role("region", name="Earlier live sessions")
    expect(past).to_contain_text("It was cancelled, so this payment of JP¥900 goes back")
    expect(ada.get_by_role("timer")).to_have_count(0)


def test_a_booking_that_was_accepted_a_moment_ago_cannot_be_cancelled_and_says_so(ada: Page, web: Web) -> None:
    web.answers["GET /subscription-status"] = account(a_session(), booking=a_booking())
    web.answers["POST /bookings/co_1/cancel"] = problem(409, "The booking has moved on", "Look again.")
    ada.goto("/account")
    ada.get_by_role("button", name="Cancel the booking").click()
    expect(ada.get_by_role("alert")).to_contain_text("The booking has moved on")


@pytest.mark.parametrize(
    "changes", [{"status": "expired"}, {"status": "expired", "ended_at": LATER}, {"status": "cancelled"}]
)
def test_a_payment_kept_for_the_next_booking_is_told_and_books_it(
    ada: Page, web: Web, changes: dict[str, object]
) -> None:
    """A booking that expired is told of before the sweep has ended it, and after."""
    over = a_booking(if_called_off="credited", **changes)
    again = a_booking(booking_id="co_2", if_called_off="credited")
    web.answers["GET /subscription-status"] = account(a_session())
    web.answers["GET /bookings"] = Answer(body={"bookings": [over]})
    web.answers["POST /payment-tokens"] = Answer(body=checkout("done", offer_id="live"))
    web.answers["GET /subscription-status/co_1"] = purchase("active", a_session())
    ada.goto("/account")
    past = ada.get_by_role("region", name="Earlier live sessions")
    expect(past).to_contain_text("What you paid is kept for you: your next booking of Live session is free of charge.")
    assert faults(ada) == []
    past.get_by_role("button", name="Book Live session again, free of charge").click()
    expect(ada.get_by_role("heading", level=1)).to_have_text("Your live session is paid for")
    expect(ada.get_by_role("main")).to_contain_text("Nothing more was charged.")

    web.answers["GET /subscription-status"] = account(a_session(), booking=again)
    web.answers["GET /bookings"] = Answer(body={"bookings": [again, over]})
    ada.get_by_role("link", name="See your account").click()
    expect(past).to_contain_text("What you paid was kept, and paid for your next booking.")
    expect(past.get_by_role("button")).to_have_count(0)


def test_a_booking_that_lapsed_says_that_the_money_goes_back_before_it_does(ada: Page, web: Web) -> None:
    web.answers["GET /subscription-status"] = account(a_session())
    web.answers["GET /bookings"] = Answer(body={"bookings": [a_booking(status="expired")]})
    ada.goto("/account")
    past = ada.get_by_role("region", name="Earlier live sessions")
    expect(past).to_contain_text("Your money is on its way back. It shows here within a minute.")
    expect(past.get_by_role("button")).to_have_count(0)


def test_an_account_whose_bookings_do_not_load_shows_the_rest(ada: Page, web: Web) -> None:
    web.answers["GET /subscription-status"] = account(a_purchase())
    web.answers["GET /bookings"] = problem(503, "Busy", "Try again in a second.")
    ada.goto("/account")
    expect(ada.get_by_role("heading", name="Monthly membership")).to_be_visible()
    expect(ada.get_by_role("alert")).to_contain_text("Try again in a second.")


def test_who_gives_sessions_accepts_the_one_who_waits_and_ends_it(ada: Page, web: Web) -> None:
    give_sessions(ada)
    accepted = a_booking(status="live", accepted_at=LATER)
    web.answers["POST /bookings/co_1/accept"] = Answer(body=accepted)
    web.answers["POST /bookings/co_1/finish"] = Answer(body=accepted | {"status": "finished"})
    ada.goto("/account")
    expect(ada.get_by_role("heading", name="Nothing here yet")).to_be_visible()
    web.answers["GET /bookings"] = [Answer(body={"bookings": [a_booking()]}), Answer(body={"bookings": []})]
    ada.get_by_role("navigation").get_by_role("link", name="Sessions").click()
    accept = ada.get_by_role("button", name="Accept Live session")
    expect(accept).to_be_visible()
    assert faults(ada) == []
    accept.click()
    expect(ada.get_by_role("heading", name="Nobody waits")).to_be_visible()
    expect(ada.get_by_role("heading", name="Yours")).to_be_focused()
    assert faults(ada) == []
    ada.get_by_role("button", name="It took place").click()
    expect(ada.get_by_role("heading", name="Yours")).to_have_count(0)
    assert web.times("POST /bookings/co_1/finish") == 1


def test_who_lost_the_tab_finds_what_they_accepted(ada: Page, web: Web) -> None:
    give_sessions(ada)
    live = a_booking(status="live", accepted_at=LATER, if_called_off="credited")
    web.answers["GET /bookings?status=live"] = Answer(body={"bookings": [live]})
    web.answers["POST /bookings/co_1/cancel"] = Answer(body=live | {"status": "cancelled"})
    ada.goto("/sessions")
    ada.get_by_role("region", name="Yours").get_by_role("button", name="Cancel Live session, accepted").click()
    expect(ada.get_by_role("heading", name="Yours")).to_have_count(0)
    told = "The session is cancelled. What the buyer paid is kept for their next booking."
    expect(ada.get_by_role("status").last).to_have_text(told)


def test_a_page_that_looks_by_itself_still_goes_on_after_a_sign_in(page: Page, web: Web) -> None:
    web.answers["GET /subscription-status"] = account(a_session(), booking=a_booking())
    web.answers["POST /sync"] = [Answer(status=401, body={}), Answer(body={"granted": [], "problems": []})]
    page.goto("/account")
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Sign in as Ada").click()
    page.get_by_role("button", name="Missing a pass?").click()
    page.get_by_role("button", name="Sign in and go on").click()
    page.get_by_role("link", name="Sign in as Ada").click()
    expect(page.get_by_text("is already here")).to_be_visible()


def test_of_two_who_accept_at_once_one_is_told_kindly(ada: Page, web: Web) -> None:
    give_sessions(ada)
    web.answers["GET /bookings"] = Answer(body={"bookings": [a_booking()]})
    web.answers["POST /bookings/co_1/accept"] = problem(409, "The booking has moved on", "Look at the list again.")
    ada.goto("/sessions")
    accept = ada.get_by_role("button", name="Accept Live session")
    expect(accept).to_be_visible()
    web.answers["GET /bookings"] = Answer(body={"bookings": []})
    accept.click()
    expect(ada.get_by_role("alert")).to_contain_text("The booking has moved on")
    expect(ada.get_by_role("heading", name="Nobody waits")).to_be_visible()


def test_a_customer_and_a_stranger_are_told_whom_the_page_is_for(ada: Page, page: Page, web: Web) -> None:
    ada.goto("/sessions")
    expect(ada.get_by_role("heading", name="This page is for those who give live sessions")).to_be_visible()
    expect(ada.get_by_role("link", name="Sessions")).to_have_count(1)
    page.goto("/sessions")
    expect(page.get_by_role("main").get_by_role("button", name="Sign in")).to_be_visible()
