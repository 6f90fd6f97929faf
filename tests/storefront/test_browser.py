"""Purchases from end to end: a phone's browser, the whole local stack, and the providers' own pages."""

import json
import re
from concurrent.futures import ThreadPoolExecutor

from playwright.sync_api import Browser, Page, expect

from tests import patient
from tests.storefront.conftest import visiting
from tests.storefront.whole import ASKS_FIRST, IS_DECLINED, PAYS, PAYS_ONCE, Stack, choose, pay, sign_in, title


def test_a_pass_and_a_subscription_are_bought_and_active(visitor: Page) -> None:
    choose(visitor, "Ten classes")
    sign_in(visitor, "ada@example.com")
    pay(visitor)
    title(visitor, "Your pass is active")
    expect(visitor.get_by_role("main")).to_contain_text("Ten classes")

    choose(visitor, "Monthly membership")
    pay(visitor, ASKS_FIRST)
    visitor.get_by_role("button", name="Complete authentication").click()
    title(visitor, "Your subscription is active")
    expect(visitor.get_by_role("main")).to_contain_text("Monthly membership")

    visitor.get_by_role("link", name="See your account").click()
    purchases = visitor.get_by_role("main").get_by_role("listitem")
    expect(purchases).to_have_count(2)
    expect(purchases.filter(has_text="Ten classes")).to_contain_text("Active")
    expect(purchases.filter(has_text="Ten classes")).to_contain_text("Valid until")
    expect(purchases.filter(has_text="Monthly membership")).to_contain_text("Active")
    expect(purchases.filter(has_text="Monthly membership")).to_contain_text("Next payment")


def test_without_any_webhook_the_page_that_asks_makes_it_active(visitor: Page, stack: Stack) -> None:
    stack.faults(drop=1)
    choose(visitor, "Monthly membership")
    sign_in(visitor, "grace@example.com")
    pay(visitor)
    title(visitor, "Your subscription is active")
    visitor.get_by_text("What happened").click()
    expect(visitor.get_by_role("main")).to_contain_text("by poll")


def test_a_buyer_who_closed_the_tab_finds_the_missing_pass(visitor: Page, stack: Stack) -> None:
    stack.faults(drop=1)
    choose(visitor, "Ten classes")
    sign_in(visitor, "joan@example.com")
    expect(visitor.get_by_label("Card number")).to_be_visible()
    page = visitor.url
    visitor.close()
    assert patient.post(page, data={"card": PAYS}).is_redirect

    other = visitor.context.new_page()
    other.route("**/checkouts/*", lambda route: route.abort())  # so that nothing but the button finds it
    other.goto("/account")
    expect(other.get_by_role("heading", name="Nothing here yet")).to_be_visible()
    other.get_by_role("button", name="Missing a pass?").click()
    expect(other.get_by_text("Found: one pass was added to your account.")).to_be_visible()
    expect(other.get_by_role("main").get_by_role("listitem").filter(has_text="Ten classes")).to_contain_text("Active")


def test_a_declined_card_and_a_way_back_lead_to_the_same_payment_page(visitor: Page) -> None:
    choose(visitor, "Yearly membership")
    sign_in(visitor, "mary@example.com")
    pay(visitor, IS_DECLINED)
    expect(visitor.get_by_role("alert")).to_be_visible()
    page = visitor.url
    visitor.get_by_role("link", name="Back").click()
    title(visitor, "Nothing was charged")

    visitor.get_by_role("link", name="Your account").or_(visitor.get_by_role("link", name="Account")).first.click()
    visitor.get_by_role("link", name="Continue to payment").click()
    expect(visitor).to_have_url(page)
    pay(visitor)
    title(visitor, "Your subscription is active")


def test_a_payment_that_takes_days_is_active_when_the_buyer_comes_back_to_it(visitor: Page, stack: Stack) -> None:
    choose(visitor, "Ten classes")
    sign_in(visitor, "lise@example.com")
    visitor.get_by_label("Bank debit that succeeds later").check()
    visitor.get_by_role("button", name=re.compile("^Pay ")).click()
    expect(visitor).to_have_url(re.compile("/success"))
    expect(visitor.get_by_role("heading", level=1)).to_contain_text("Confirming your purchase…")
    stack.pass_time(7 * 86_400)
    title(visitor, "Your pass is active")  # the sign-in, which has ended, is renewed by itself


def two_tabs(visitor: Page, email: str) -> Page:
    """Choose ten classes in the tab *buyer*, and then a membership in another; return the other, both ready to pay."""
    choose(visitor, "Ten classes")
    sign_in(visitor, email)
    expect(visitor.get_by_label("Card number")).to_be_visible()
    other = visitor.context.new_page()
    other.goto("/")
    expect(other.get_by_text("You may choose something else below")).to_be_visible()
    other.get_by_role("button", name="Buy Monthly membership").click()
    expect(other.get_by_label("Card number")).to_be_visible()
    return other


def test_who_changed_the_package_and_pays_in_the_old_tab_has_what_they_paid_for(visitor: Page, stack: Stack) -> None:
    stack.begin_a_minute()
    other = two_tabs(visitor, "rosa@example.com")
    pay(visitor)
    title(visitor, "Your pass is active")
    main = visitor.get_by_role("main")
    expect(main).to_contain_text("Your other choice, Monthly membership, is closed. Nothing was charged for it.")

    stack.sweep()
    pay(other)
    expect(other.get_by_label("Card number")).to_have_count(0)  # the page has been closed
    other.goto("/cancel")
    title(other, "You have paid for Ten classes")
    expect(other.get_by_role("main")).to_contain_text("You were buying Monthly membership")
    other.get_by_role("link", name="See your purchase").click()
    title(other, "Your pass is active")


def test_who_went_back_to_change_the_package_and_paid_in_the_old_tab_too_is_told_why_that_comes_back(
    visitor: Page, stack: Stack
) -> None:
    stack.begin_a_minute()
    choose(visitor, "Ten classes")
    sign_in(visitor, "vera@example.com")
    expect(visitor.get_by_label("Card number")).to_be_visible()
    old = visitor.context.new_page()
    old.goto(visitor.url)
    expect(old.get_by_role("main")).to_contain_text("Ten classes")

    visitor.get_by_role("link", name="Back").click()
    title(visitor, "Nothing was charged")
    visitor.get_by_role("link", name="Back to the shop").click()
    visitor.get_by_role("button", name="Buy Monthly membership").click()
    expect(visitor.get_by_label("Card number")).to_be_visible()
    page = visitor.url
    visitor.go_back()
    main = visitor.get_by_role("main")
    expect(main.get_by_role("heading", name="You were buying Monthly membership")).to_be_visible()
    expect(main).to_contain_text("It took the place of your earlier choice, which was closed.")
    main.get_by_role("link", name="Continue to payment").click()
    expect(visitor).to_have_url(page)
    pay(visitor)
    title(visitor, "Your subscription is active")

    stack.pass_time(2)  # of two payments in one second, either may be the later one
    pay(old)
    title(old, "Your money is on its way back")
    why = "You had paid for Monthly membership already, so this payment of €120"
    expect(old.get_by_role("main")).to_contain_text(f"{why} goes back to your card or account by itself.")

    old.get_by_role("link", name="See your account").click()
    purchases = old.get_by_role("main").get_by_role("listitem")
    expect(purchases.filter(has_text="Monthly membership").filter(has_text="Active")).to_have_count(1)
    stack.sweep()
    fully_refunded = purchases.filter(has_text="Ten classes")
    expect(fully_refunded).to_contain_text(f"{why} was sent back")  # the page looks by itself
    expect(fully_refunded).to_contain_text("Refunded€120")


def test_who_comes_back_the_next_day_goes_on_where_they_were(visitor: Page, stack: Stack) -> None:
    choose(visitor, "Yearly membership")
    sign_in(visitor, "kate@example.com")
    expect(visitor.get_by_label("Card number")).to_be_visible()
    page = visitor.url
    stack.pass_time(90_000)
    visitor.goto("/account")
    expect(visitor.get_by_role("heading", name="The payment page has expired")).to_be_visible()
    expect(visitor.get_by_role("main")).to_contain_text("You were buying Yearly membership.")
    visitor.get_by_role("button", name="Go on where you were").click()
    expect(visitor.get_by_label("Card number")).to_be_visible()
    assert visitor.url != page
    expect(visitor.get_by_role("main")).to_contain_text("Yearly membership")
    pay(visitor)
    title(visitor, "Your subscription is active")


def test_a_live_session_that_nobody_accepts_gives_the_money_back(visitor: Page, stack: Stack) -> None:
    choose(visitor, "Live session")
    sign_in(visitor, "lena@example.com")
    pay(visitor)
    title(visitor, "Your live session is paid for")
    visitor.get_by_role("link", name="See your account").click()
    expect(visitor.get_by_role("timer")).to_have_text(re.compile(r"^1[345]:\d\d$"))

    stack.pass_time(901)
    past = visitor.get_by_role("region", name="Earlier live sessions")
    expect(past).to_contain_text("Nobody accepted it in time")
    expect(visitor.get_by_role("timer")).to_have_count(0)
    stack.sweep()
    why = "Nobody accepted it in time, so this payment of €65 was sent back"
    expect(past).to_contain_text(why)


def test_a_live_session_is_accepted_and_takes_place(visitor: Page, stack: Stack, chromium: Browser) -> None:
    choose(visitor, "Live session")
    sign_in(visitor, "dora@example.com")
    pay(visitor)
    title(visitor, "Your live session is paid for")
    visitor.goto("/account")
    expect(visitor.get_by_role("timer")).to_be_visible()

    with visiting(chromium, base_url=stack.url) as colleague:
        desk = colleague.new_page()
        desk.goto("/sessions")
        desk.get_by_role("main").get_by_role("button", name="Sign in").click()
        sign_in(desk, "max@example.com", gives_sessions=True)
        desk.get_by_role("button", name="Accept Live session").click()
        expect(desk.get_by_role("heading", name="Nobody waits")).to_be_visible()
        session = visitor.get_by_role("region", name="Live session")
        expect(session).to_contain_text("Accepted")
        expect(session.get_by_role("button")).to_have_count(0)
        desk.get_by_role("button", name="It took place").click()
        expect(desk.get_by_role("heading", name="Yours")).to_have_count(0)
    past = visitor.get_by_role("region", name="Earlier live sessions")
    expect(past).to_contain_text("Took place")


def test_a_subscription_is_changed_cancelled_and_resumed_by_its_customer(visitor: Page, stack: Stack) -> None:
    choose(visitor, "Monthly membership")
    sign_in(visitor, "hedy@example.com")
    pay(visitor)
    title(visitor, "Your subscription is active")

    visitor.get_by_role("link", name="Back to the shop").click()
    visitor.get_by_role("link", name="Change to Yearly membership").click()
    visitor.get_by_role("button", name=re.compile("^Change and pay €4\\d\\d")).click()
    expect(visitor.get_by_role("heading", name="Yearly membership")).to_be_visible()
    purchases = visitor.get_by_role("main").get_by_role("listitem")
    expect(purchases).to_have_count(1)
    expect(purchases).to_contain_text("Next payment€490")

    visitor.get_by_role("button", name="Cancel Yearly membership").click()
    visitor.get_by_role("button", name="Yes, cancel Yearly membership").click()
    expect(purchases).to_contain_text("Ends on")
    visitor.get_by_role("button", name="Resume Yearly membership").click()
    expect(purchases).to_contain_text("Next payment€490")

    visitor.goto("/")
    marked = visitor.get_by_role("main").get_by_role("listitem").filter(has_text="You have this")
    expect(marked).to_contain_text("Yearly membership")
    expect(visitor.get_by_role("button", name="membership")).to_have_count(0)


def test_a_second_subscription_leads_to_the_change_of_the_first(visitor: Page) -> None:
    choose(visitor, "Monthly membership")
    sign_in(visitor, "ruth@example.com")
    expect(visitor.get_by_label("Card number")).to_be_visible()
    other = visitor.context.new_page()
    other.goto("/")
    expect(other.get_by_role("button", name="Buy Yearly membership")).to_be_visible()
    pay(visitor)
    title(visitor, "Your subscription is active")

    other.get_by_role("button", name="Buy Yearly membership").click()

    told = "You have Monthly membership already, so nothing was bought and nothing was charged."
    expect(other.get_by_role("main")).to_contain_text(told)
    expect(other.get_by_role("button", name=re.compile("^Change and pay €4"))).to_be_visible()


def test_a_renewal_that_fails_is_paid_on_the_page_that_the_account_leads_to(visitor: Page, stack: Stack) -> None:
    choose(visitor, "Monthly membership")
    sign_in(visitor, "hilde@example.com")
    pay(visitor, PAYS_ONCE)
    title(visitor, "Your subscription is active")

    stack.pass_time(32 * 86_400)
    visitor.goto("/account")

    purchases = visitor.get_by_role("main").get_by_role("listitem").filter(has_text="Monthly membership")
    expect(purchases).to_contain_text("Payment overdue")
    visitor.get_by_role("link", name="Pay now for Monthly membership").click()
    pay(visitor)
    visitor.goto("/account")
    expect(purchases).to_contain_text("Next payment€49")


def test_cards_and_invoices_are_on_the_providers_page_which_leads_back(visitor: Page) -> None:
    choose(visitor, "Monthly membership")
    sign_in(visitor, "irene@example.com")
    pay(visitor)
    title(visitor, "Your subscription is active")
    visitor.goto("/account")

    visitor.get_by_role("button", name="Cards and invoices").click()
    expect(visitor).to_have_url(re.compile("/portal/"))
    visitor.get_by_role("link", name=re.compile("back|return", re.IGNORECASE)).first.click()

    title(visitor, "Your account")


def test_ten_classes_show_what_is_left_of_ten(visitor: Page) -> None:
    choose(visitor, "Ten classes")
    sign_in(visitor, "olga@example.com")
    pay(visitor)
    title(visitor, "Your pass is active")

    visitor.get_by_role("link", name="See your account").click()

    expect(visitor.get_by_role("main")).to_contain_text("10 of 10 left")


def test_the_members_page_opens_in_another_tab_as_soon_as_it_is_paid(visitor: Page) -> None:
    visitor.goto("/members-area")
    visitor.get_by_role("main").get_by_role("button", name="Sign in").click()
    sign_in(visitor, "liv@example.com")
    title(visitor, "Members only")
    other = visitor.context.new_page()

    choose(other, "Monthly membership")
    pay(other)

    title(other, "Your subscription is active")
    title(visitor, "Welcome, member")
    expect(visitor.get_by_role("main")).to_contain_text("Monthly membership")


def test_a_hundred_buyers_at_once_get_a_payment_page_of_their_own_each(stack: Stack) -> None:
    def checkout_of(buyer: int) -> dict[str, str]:
        identity = f"{stack.running.fakes_url}/identity/token"
        token = patient.post(identity, json={"sub": f"crowd_{buyer}", "roles": []}).json()["token"]
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": f"crowd-{buyer}"}
        while True:
            answer = patient.post(f"{stack.url}/payment-tokens", json={"offer_id": "ten_class_pass"}, headers=headers)
            if answer.status_code not in (429, 503):  # what a client tries again, under the same key
                return dict(answer.raise_for_status().json())

    with ThreadPoolExecutor(100) as buyers:
        checkouts = list(buyers.map(checkout_of, range(100)))

    listed = f"{stack.running.fakes_url}/stripe/v1/checkout/sessions"
    sessions = patient.get(listed, params={"limit": 100}, auth=("sk_test_local", "")).raise_for_status().json()["data"]
    whose = {one["id"]: (one["metadata"]["customer_id"], one["url"]) for one in sessions}
    assert len(whose) == 100
    assert [whose[one["token"]] for one in checkouts] == [(f"crowd_{n}", one["url"]) for n, one in enumerate(checkouts)]


def test_signing_out_leaves_nothing_behind(visitor: Page) -> None:
    choose(visitor, "Ten classes")
    sign_in(visitor, "emmy@example.com")
    expect(visitor.get_by_label("Card number")).to_be_visible()
    visitor.goto("/account")
    visitor.get_by_role("button", name="Sign out").click()
    expect(visitor.get_by_role("banner").get_by_role("button", name="Sign in")).to_be_visible()
    visitor.goto("/account")
    expect(visitor.get_by_role("heading", name="Sign in to see your passes")).to_be_visible()
    assert "paidup.session" not in json.dumps(visitor.evaluate("Object.keys(localStorage)"))


def test_support_finds_a_buyer_by_e_mail_and_mends_what_no_webhook_told(
    visitor: Page, stack: Stack, chromium: Browser
) -> None:
    stack.faults(drop=1)
    choose(visitor, "Ten classes")
    sign_in(visitor, "katherine@example.com")
    expect(visitor.get_by_label("Card number")).to_be_visible()
    assert patient.post(visitor.url, data={"card": PAYS}).is_redirect
    stack.faults()

    with visiting(chromium, base_url=stack.url) as there:
        desk = there.new_page()
        desk.goto("/desk")
        desk.get_by_role("main").get_by_role("button", name="Sign in").click()
        sign_in(desk, "sam@example.com", is_support=True)
        title(desk, "Desk")
        desk.get_by_role("searchbox").fill("Katherine@example.com")
        desk.get_by_role("searchbox").press("Enter")
        expect(desk.get_by_text("Nothing was bought.")).to_be_visible()

        desk.get_by_role("button", name="Sync").click()
        desk.get_by_label("Reason").fill("paid, and sees nothing")
        desk.get_by_role("button", name="Sync").click()

        expect(desk.get_by_text("Synced by support: 1 looked at, 1 granted, 0 problems.").first).to_be_visible()
        expect(desk.get_by_role("heading", name="Ten classes")).to_be_visible()
        timeline = desk.get_by_role("region", name="Timeline")
        expect(timeline).to_contain_text("by a sync")
        expect(timeline).to_contain_text("“paid, and sees nothing”")

    visitor.goto("/account")
    card = visitor.get_by_role("main").get_by_role("listitem").filter(has_text="Ten classes")
    expect(card.first).to_contain_text("Active")
    card.first.get_by_text("What happened").click()
    expect(card.first).to_contain_text("by sync")
    visitor.goto("/desk")
    title(visitor, "There is no such page")
