"""The shop and signing in, in a browser: a purchase begins, or says why it does not; never a dead end."""

import json
import re

import pytest
from playwright.sync_api import Page, expect

from tests.storefront.web import LATER, LOST, SILENT, Answer, Web, account, an_offer, problem

OUTAGE = problem(503, "The payment provider does not answer", "Try again in a few seconds.")


def test_the_shop_shows_each_offer_with_its_price_and_terms(page: Page, web: Web) -> None:
    page.goto("/")
    offers = page.get_by_role("main").get_by_role("listitem")
    expect(offers).to_have_count(3)
    expect(offers.filter(has_text="Ten classes")).to_contain_text("€120")
    expect(offers.filter(has_text="Ten classes")).to_contain_text("valid for 180 days")
    expect(offers.filter(has_text="Monthly")).to_contain_text("€49.50 / month")
    expect(offers.filter(has_text="Live session")).to_contain_text("¥900")


@pytest.mark.parametrize(
    ("amount", "currency", "digits", "text"),
    [
        (150_000, "huf", 2, "HUF 1,500"),
        (150_050, "huf", 2, "HUF 1,500.50"),
        (200_000, "isk", 2, "ISK 2,000"),
        (500, "ugx", 2, "UGX 5"),
        (1_000, "jpy", 0, "JP¥1,000"),
        (5_000, "kwd", 3, "KWD 5"),
        (5_120, "kwd", 3, "KWD 5.120"),
        (15_000_000, "idr", 2, "IDR 150,000"),
        (1_000, "cop", 2, "COP 10"),
        (123_456, "pkr", 2, "PKR 1,234.56"),
        (900, "mga", 0, "MGA 900"),
    ],
)
def test_money_is_shown_as_it_is_charged_whatever_the_browser_thinks_of_its_digits(
    page: Page, web: Web, amount: int, currency: str, digits: int, text: str
) -> None:
    offer = an_offer("x", "Ten classes", amount=amount, currency=currency, digits=digits)
    web.answers["GET /offers"] = Answer(body={"offers": [offer]})

    page.goto("/")

    expect(page.locator(".price")).to_have_text(text)


def test_an_offer_tells_how_often_it_renews_and_how_often_it_can_be_used(page: Page, web: Web) -> None:
    quarterly = an_offer("q", "Quarterly", kind="subscription", interval="month", interval_count=3)
    ten = an_offer("t", "Ten uses", uses=10, valid_days=180, max_quantity=4)
    web.answers["GET /offers"] = Answer(body={"offers": [quarterly, ten]})

    page.goto("/")

    offers = page.get_by_role("main").get_by_role("listitem")
    expect(offers.filter(has_text="Quarterly")).to_contain_text("€120 / 3 months")
    expect(offers.filter(has_text="Quarterly")).to_contain_text("Renews every 3 months.")
    expect(offers.filter(has_text="Ten uses")).to_contain_text("One payment, valid for 180 days, for 10 uses.")
    expect(page.get_by_role("option")).to_have_count(4)


@pytest.mark.parametrize(
    ("used", "terms"), [([], "14 days free, then renews every month."), (["gym"], "Renews every month.")]
)
def test_free_days_are_promised_to_whom_they_are_given(ada: Page, web: Web, used: list[str], terms: str) -> None:
    gym = an_offer("gym", "Gym", kind="subscription", interval="month", trial_days=14, group="gym")
    web.answers["GET /offers"] = Answer(body={"offers": [gym]})
    web.answers["GET /subscription-status"] = account(trials_used=used)

    ada.goto("/")

    expect(ada.locator(".terms")).to_have_text(terms)


def test_an_offer_whose_price_is_not_known_yet_says_where_it_is(page: Page, web: Web) -> None:
    web.answers["GET /offers"] = Answer(body={"offers": [an_offer("x", "Ten classes", amount=None)]})

    page.goto("/")

    expect(page.locator(".price")).to_have_text("The payment page shows the price")
    expect(page.get_by_role("option").last).to_have_text("10")


def test_names_are_text_and_never_markup(page: Page, web: Web) -> None:
    name = "<img src=x onerror=alert(1)>"
    web.answers["GET /offers"] = Answer(body={"offers": [an_offer("x", name)]})
    page.goto("/")
    expect(page.get_by_role("heading", name=name)).to_be_visible()


def test_an_empty_shop_says_so(page: Page, web: Web) -> None:
    web.answers["GET /offers"] = Answer(body={"offers": []})
    page.goto("/")
    expect(page.get_by_role("heading", name="Nothing is for sale right now")).to_be_visible()


def test_a_shop_that_cannot_load_offers_to_try_again(page: Page, web: Web) -> None:
    web.answers["GET /offers"] = [LOST, LOST, LOST, LOST, Answer(body={"offers": []})]
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
    context = {"offer": "Monthly membership", "from": "/"}
    assert json.loads(web.sent["POST /payment-tokens"]) == {"offer_id": "monthly", "context": context} | returns


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
    quantity = ada.get_by_role("combobox", name="Quantity of Ten classes")
    expect(quantity).to_be_focused()
    ada.keyboard.type("3")
    expect(quantity.get_by_role("option", selected=True)).to_have_text("3 for €360")
    ada.keyboard.press("Tab")
    expect(ada.get_by_role("button", name="Buy Ten classes")).to_be_focused()
    ada.keyboard.press("Enter")
    ada.wait_for_url(web.payment_page)
    assert json.loads(web.sent["POST /payment-tokens"])["quantity"] == 3


def test_one_to_ten_passes_are_bought_at_once_and_of_all_else_one(page: Page, web: Web) -> None:
    page.goto("/")
    expect(page.get_by_role("combobox")).to_have_count(1)
    expect(page.get_by_role("option")).to_have_count(10)


def test_a_quantity_outlives_the_sign_in_and_going_back(page: Page, web: Web) -> None:
    opened = {"checkout_id": "co_1", "offer_id": "ten", "quantity": 4, "url": web.payment_page, "expires_at": LATER}
    web.answers["POST /payment-tokens"] = Answer(status=201, body=opened)
    web.answers["GET /checkouts/co_1"] = OUTAGE
    page.goto("/")
    page.get_by_label("Quantity of Ten classes").select_option("4")
    page.get_by_role("button", name="Buy Ten classes").click()
    page.get_by_role("link", name="Sign in as Ada").click()
    page.wait_for_url(web.payment_page)
    assert json.loads(web.sent.pop("POST /payment-tokens"))["quantity"] == 4
    page.goto("/")
    expect(page.get_by_role("heading", name=re.compile("You were buying 4 . Ten classes"))).to_be_visible()
    expect(page.get_by_label("Quantity of Ten classes")).to_have_value("1")
    page.get_by_role("button", name="Continue to payment").click()
    page.wait_for_url(web.payment_page)
    assert json.loads(web.sent["POST /payment-tokens"])["quantity"] == 4


def test_a_purchase_that_does_not_begin_says_why_and_can_be_tried_again(ada: Page, web: Web) -> None:
    opened = web.answers["POST /payment-tokens"]
    assert isinstance(opened, Answer)
    web.answers["POST /payment-tokens"] = [OUTAGE, OUTAGE, OUTAGE, OUTAGE, opened]
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
    ada.clock.run_for(10_000)
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
