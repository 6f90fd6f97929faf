"""Coming back to a checkout, in a browser: whatever became of it, there is a way on."""

import json
import re

import pytest
from playwright.sync_api import Page, expect

from tests.storefront.web import LATER, Answer, Web, a_purchase, account, checkout, problem, purchase


def heading(page: Page, text: str) -> None:
    """Wait for the page's title to be *text*."""
    expect(page.get_by_role("heading", level=1)).to_have_text(text)


def test_an_open_checkout_says_what_remains_and_where_the_buyer_was(ada: Page, web: Web) -> None:
    there = checkout(url=web.payment_page, quantity=2, replaced_checkout_id="co_0")
    web.answers["GET /checkouts/co_1"] = Answer(body=there | {"context": {"from": "/account"}})
    ada.goto("/cancel?checkout_id=co_1")
    heading(ada, "Nothing was charged")
    main = ada.get_by_role("main")
    expect(main).to_contain_text(re.compile("You were buying 2 . Monthly membership"))
    expect(main).to_contain_text("€49.50. The payment page stays open for another 23 hours.")
    expect(main).to_contain_text("It took the place of your earlier choice")
    expect(ada.get_by_role("link", name="Back to the shop")).to_have_attribute("href", "/account")
    ada.get_by_role("link", name="Continue to payment").click()
    ada.wait_for_url(web.payment_page)


@pytest.mark.parametrize("came_from", ["//evil.example", "/\\evil.example", "https://evil.example", 7, None])
def test_what_was_kept_leads_nowhere_but_into_the_shop(ada: Page, web: Web, came_from: object) -> None:
    there = checkout(url=web.payment_page, context={"from": came_from})
    web.answers["GET /checkouts/co_1"] = Answer(body=there)
    ada.goto("/cancel?checkout_id=co_1")
    expect(ada.get_by_role("link", name="Back to the shop")).to_have_attribute("href", "/")


def test_an_offer_that_is_no_longer_sold_goes_by_the_name_that_the_buyer_saw(ada: Page, web: Web) -> None:
    there = checkout("recover", offer_id="summer", context={"offer": "Summer pass"})
    web.answers["GET /checkouts/co_1"] = Answer(body=there)
    ada.goto("/cancel?checkout_id=co_1")
    expect(ada.get_by_role("main")).to_contain_text("You were buying Summer pass.")


def test_a_checkout_is_cancelled_and_taken_up_again(ada: Page, web: Web) -> None:
    cancelled = checkout("recover", status="invalidated")
    web.answers["DELETE /checkouts/co_1"] = Answer(body=cancelled)
    web.answers["POST /checkouts/co_1/recover"] = Answer(
        status=201, body=checkout(checkout_id="co_2", url=web.payment_page)
    )
    ada.goto("/cancel?checkout_id=co_1")
    ada.get_by_role("button", name="Cancel the purchase of Monthly membership").click()
    heading(ada, "You cancelled this purchase")
    expect(ada.get_by_role("heading", level=1)).to_be_focused()
    ada.get_by_role("button", name="Go on where you were").click()
    ada.wait_for_url(web.payment_page)


def test_a_checkout_that_was_paid_before_it_could_be_cancelled_says_so(ada: Page, web: Web) -> None:
    web.answers["GET /subscription-status"] = account(checkout={"checkout_id": "co_1"})
    web.answers["DELETE /checkouts/co_1"] = Answer(body=checkout("done") | {"purchase": a_purchase()})
    ada.goto("/account")
    ada.get_by_role("button", name="Cancel the purchase of Monthly membership").click()
    expect(ada.get_by_role("heading", name="You have paid for Monthly membership")).to_be_focused()
    expect(ada.get_by_role("link", name="See your purchase")).to_have_attribute("href", "/success?checkout_id=co_1")


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({}, "The payment page has expired"),
        ({"status": "invalidated"}, "You cancelled this purchase"),
        ({"status": "invalidated", "replaced_by": "co_2"}, "You chose something else"),
        ({"status": "opening"}, "The payment page did not open"),
        ({"status": "completed"}, "The payment did not go through"),
    ],
)
@pytest.mark.parametrize("path", ["/cancel", "/success"])
def test_however_a_checkout_ended_its_buyer_can_go_on(
    ada: Page, web: Web, path: str, changes: dict[str, str], title: str
) -> None:
    web.answers["GET /checkouts/co_1"] = Answer(body=checkout("recover", **changes))
    web.answers["GET /checkouts/co_2"] = Answer(body=checkout(checkout_id="co_2", url=web.payment_page))
    web.answers["GET /subscription-status/co_1"] = purchase("expired")
    web.answers["POST /checkouts/co_1/recover"] = Answer(
        status=201, body=checkout(checkout_id="co_3", url=web.payment_page)
    )
    ada.goto(f"{path}?checkout_id=co_1")
    heading(ada, title)
    ada.get_by_role("button", name="Go on where you were").click()
    ada.wait_for_url(web.payment_page)


def test_going_on_with_what_was_paid_already_shows_the_pass(ada: Page, web: Web) -> None:
    web.answers["GET /checkouts/co_1"] = Answer(body=checkout("recover"))
    web.answers["POST /checkouts/co_1/recover"] = Answer(body=checkout("done") | {"purchase": a_purchase()})
    web.answers["GET /subscription-status/co_1"] = purchase("active", a_purchase())
    ada.goto("/cancel?checkout_id=co_1")
    ada.get_by_role("button", name="Go on where you were").click()
    heading(ada, "Your subscription is active")
    expect(ada.get_by_role("main")).to_contain_text("You had paid for this already. Nothing more was charged.")


def test_buying_what_was_bought_in_another_tab_shows_the_pass(ada: Page, web: Web) -> None:
    web.answers["POST /payment-tokens"] = Answer(body=checkout("done"))
    web.answers["GET /subscription-status/co_1"] = purchase("active", a_purchase())
    ada.goto("/")
    ada.get_by_role("button", name="Buy Monthly membership").click()
    heading(ada, "Your subscription is active")
    expect(ada.get_by_role("main")).to_contain_text("You had paid for this already.")


def test_a_checkout_whose_other_choice_was_paid_leads_to_that_one(ada: Page, web: Web) -> None:
    web.answers["GET /checkouts/co_1"] = Answer(body=checkout("recover", status="invalidated", replaced_by="co_2"))
    purchase = a_purchase(purchase_id="co_2", offer_id="ten")
    web.answers["GET /checkouts/co_2"] = Answer(
        body=checkout("done", checkout_id="co_2", offer_id="ten", purchase=purchase)
    )
    ada.goto("/cancel?checkout_id=co_1")
    heading(ada, "You have paid for Ten classes")
    expect(ada.get_by_role("main")).to_contain_text("You were buying Monthly membership. Its page was closed since")
    expect(ada.get_by_role("link", name="See your purchase")).to_have_attribute("href", "/success?checkout_id=co_2")


def test_both_payments_of_one_choice_are_explained_on_either_page(ada: Page, web: Web) -> None:
    later = a_purchase(
        purchase_id="co_2", offer_id="ten", status="refunding", amount=12000, paid_before="co_1", refund_why="x"
    )
    web.answers["GET /checkouts/co_1"] = Answer(body=checkout("done", replaced_by="co_2", purchase=a_purchase()))
    web.answers["GET /checkouts/co_2"] = Answer(
        body=checkout("done", checkout_id="co_2", offer_id="ten", replaced_checkout_id="co_1", purchase=later)
    )
    web.answers["GET /subscription-status/co_1"] = purchase("active", a_purchase())
    web.answers["GET /subscription-status/co_2"] = purchase("refunded", later)
    web.answers["GET /subscription-status"] = account(a_purchase(), later)
    why = "You had paid for Monthly membership already, so this payment of €120 goes back to your card or account"
    ada.goto("/success?checkout_id=co_1")
    expect(ada.get_by_role("main")).to_contain_text(f"You paid for Ten classes as well. {why} by itself.")
    ada.goto("/success?checkout_id=co_2")
    heading(ada, "Your money is on its way back")
    expect(ada.get_by_role("main")).to_contain_text(why)


def test_what_is_found_paid_while_the_account_is_read_shows_at_once(ada: Page, web: Web) -> None:
    web.answers["GET /subscription-status"] = [account(checkout={"checkout_id": "co_1"}), account(a_purchase())]
    web.answers["GET /checkouts/co_1"] = Answer(body=checkout("done", purchase=a_purchase()))
    ada.goto("/account")
    expect(ada.get_by_role("main").get_by_role("listitem").filter(has_text="Monthly membership")).to_be_visible()
    expect(ada.get_by_role("heading", name="Nothing here yet")).to_have_count(0)


def test_an_ended_purchase_is_offered_again_until_it_is_put_out_of_sight(ada: Page, web: Web) -> None:
    ada.goto("/")
    ada.get_by_role("button", name="Buy Monthly membership").click()
    ada.wait_for_url(web.payment_page)
    web.answers["GET /checkouts/co_1"] = Answer(body=checkout("recover"))
    for path in ("/", "/account"):
        ada.goto(path)
        expect(ada.get_by_role("heading", name="The payment page has expired")).to_be_visible()
    ada.get_by_role("button", name="Not any more").click()
    expect(ada.get_by_role("heading", name="The payment page has expired")).to_have_count(0)
    ada.goto("/")
    expect(ada.get_by_role("heading", name="Ten classes")).to_be_visible()
    expect(ada.get_by_role("heading", name="The payment page has expired")).to_have_count(0)


@pytest.mark.parametrize(
    ("kind", "words"),
    [("booking-in-the-way", "You have a live session already"), ("replaced", "You chose something else meanwhile")],
)
def test_a_choice_that_the_buyer_must_make_is_told_in_plain_words(ada: Page, web: Web, kind: str, words: str) -> None:
    refusal = problem(409, "Conflict", "Choose.")
    web.answers["POST /payment-tokens"] = Answer(
        status=409, body=refusal.body | {"type": f"urn:paidup:problem:{kind}"}, headers=refusal.headers
    )
    ada.goto("/")
    ada.get_by_role("button", name="Buy Live session").click()
    expect(ada.get_by_role("alert")).to_contain_text(words)
    expect(ada.get_by_role("alert")).not_to_contain_text("A word for engineers.")


def test_any_other_choice_is_told_as_the_api_words_it(ada: Page, web: Web) -> None:
    web.answers["POST /payment-tokens"] = problem(409, "The thing has moved on", "Look again.")
    ada.goto("/")
    ada.get_by_role("button", name="Buy Ten classes").click()
    for words in ("The thing has moved on", "A word for engineers.", "Look again."):
        expect(ada.get_by_role("alert")).to_contain_text(words)


def test_the_shop_keeps_what_the_buyer_chose_and_where_they_were(ada: Page, web: Web) -> None:
    ada.goto("/")
    ada.get_by_role("button", name="Buy Ten classes").click()
    ada.wait_for_url(re.compile("/pay$"))
    assert json.loads(web.sent["POST /payment-tokens"])["context"] == {"offer": "Ten classes", "from": "/"}


def test_a_quarantined_payment_says_that_nobody_need_pay_again(ada: Page, web: Web) -> None:
    web.answers["GET /subscription-status"] = account(a_purchase(status="quarantined", paid_at=LATER))
    ada.goto("/account")
    expect(ada.get_by_text("You need not pay again")).to_be_visible()
