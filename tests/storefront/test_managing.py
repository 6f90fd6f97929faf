"""The account, in a browser: a subscription is changed, cancelled, resumed and mended by its customer alone."""

import json
import re

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
TEAM = an_offer(
    "team",
    "Team membership",
    kind="subscription",
    amount=3_900,
    interval="month",
    adjustable_quantity=True,
    max_quantity=20,
)
CHANGE, PREVIEW = "POST /purchases/co_1/change", "POST /purchases/co_1/change?preview=true"


@pytest.fixture
def monthly_member(web: Web) -> Web:
    """A shop with three memberships, and a customer with the monthly one."""
    storage = an_offer("storage", "Extra storage", kind="subscription", interval="month", group="addons")
    web.answers["GET /offers"] = Answer(body={"offers": [*OFFERS, YEARLY, TEAM, storage]})
    web.answers["GET /subscription-status"] = account(a_purchase(), access=[access("co_1", "monthly")])
    web.answers[PREVIEW] = preview()
    return web


def has(web: Web, **changes: object) -> None:
    """Let the customer's subscription be as *changes* say."""
    web.answers["GET /subscription-status"] = account(a_purchase(**changes))


def card(page: Page, name: str = "Monthly membership") -> Locator:
    """Return the card of the purchase *name*."""
    return page.get_by_role("main").get_by_role("listitem").filter(has=page.get_by_role("heading", name=name))


def see_costs(page: Page) -> None:
    """Open the change of the monthly membership to the yearly one, as far as what it costs."""
    page.goto("/account")
    page.get_by_role("button", name="Change Monthly membership").click()
    page.get_by_label("New plan").select_option("yearly")
    page.get_by_role("button", name="See what the change of Monthly membership costs").click()
    expect(page.get_by_role("button", name="Change and pay €441")).to_be_visible()


def test_a_subscription_says_what_it_grants_and_what_comes_next(ada: Page, monthly_member: Web) -> None:
    team = a_purchase(offer_id="team", quantity=5, amount=20_500)
    monthly_member.answers["GET /subscription-status"] = account(
        team, access=[access("co_1", "team", quantity=5), access("co_1", "storage", quantity=2)]
    )

    ada.goto("/account")

    own = card(ada, "Team membership")
    for words in ("Active", "Seats5", "Next payment€205 on 15 January 2027"):
        expect(own).to_contain_text(words)
    expect(own).to_contain_text(re.compile("Also included2 . Extra storage"))


def test_a_plan_whose_change_is_not_paid_says_what_can_be_used_meanwhile(ada: Page, monthly_member: Web) -> None:
    monthly_member.answers["GET /subscription-status"] = account(
        a_purchase(offer_id="yearly", status="past_due"), access=[access("co_1", "monthly")]
    )

    ada.goto("/account")

    expect(card(ada, "Yearly membership")).to_contain_text("For now you haveMonthly membership")


def test_a_change_says_what_is_due_now_and_then_before_it_is_made(ada: Page, monthly_member: Web) -> None:
    monthly_member.answers[CHANGE] = Answer(body=a_purchase(offer_id="yearly", amount=49_000, state="changed"))

    see_costs(ada)

    costs = card(ada)
    expect(costs).to_contain_text("Now€441")
    expect(costs).to_contain_text("From 15 January 2027€490 / year")
    assert monthly_member.times("POST /purchases/co_1/change") == 1
    monthly_member.answers["GET /subscription-status"] = account(a_purchase(offer_id="yearly", amount=49_000))
    ada.get_by_role("button", name="Change and pay €441").click()
    expect(ada.get_by_role("heading", name="Yearly membership")).to_be_focused()
    expect(ada.locator("#announcer")).to_have_text("It is changed. You have Yearly membership now.")
    expect(card(ada, "Yearly membership")).to_contain_text("Next payment€490")
    assert json.loads(monthly_member.sent[CHANGE]) == {"offer_id": "yearly", "quantity": 1}


def test_what_is_left_over_from_a_change_is_named(ada: Page, monthly_member: Web) -> None:
    monthly_member.answers[PREVIEW] = preview(offer_id="team", due_now=0, credited=1_250, next_amount=3_900)
    ada.goto("/account")

    ada.get_by_role("button", name="Change Monthly membership").click()
    ada.get_by_label("New plan").select_option("team")
    ada.get_by_role("button", name="See what the change").click()

    expect(card(ada)).to_contain_text("Kept for later bills€12.50")
    expect(ada.get_by_role("button", name="Change now: Team membership")).to_be_visible()


def test_seats_are_chosen_and_a_number_that_cannot_be_had_is_not_asked_for(ada: Page, monthly_member: Web) -> None:
    has(monthly_member, offer_id="team", quantity=5)
    ada.goto("/account")
    ada.get_by_role("button", name="Change Team membership").click()
    ada.get_by_label("New plan").select_option("team")
    look = ada.get_by_role("button", name="See what the change of Team membership costs")

    look.click()
    expect(ada.get_by_role("alert")).to_contain_text(re.compile("You have 5 . Team membership already"))
    ada.get_by_label("How many").fill("21")
    look.click()
    expect(ada.get_by_role("alert")).to_contain_text("That is not a number that can be had")
    assert monthly_member.times("POST /purchases/co_1/change") == 0

    ada.get_by_label("How many").fill("3")
    look.click()
    expect(ada.get_by_role("button", name="Change and pay")).to_be_visible()
    assert json.loads(monthly_member.sent[PREVIEW]) == {"offer_id": "team", "quantity": 3}


def test_another_choice_takes_the_costs_of_the_first_one_away(ada: Page, monthly_member: Web) -> None:
    see_costs(ada)

    ada.get_by_label("New plan").select_option("team")

    expect(ada.get_by_role("button", name="Change and pay")).to_have_count(0)


def test_only_what_the_subscription_can_become_is_offered(ada: Page, monthly_member: Web) -> None:
    dollars = an_offer("usd", "In dollars", kind="subscription", currency="usd", interval="month")
    elsewhere = an_offer("other", "Elsewhere", kind="subscription", interval="month", providers=["memory"])
    monthly_member.answers["GET /offers"] = Answer(body={"offers": [*OFFERS, YEARLY, dollars, elsewhere]})
    ada.goto("/account")

    ada.get_by_role("button", name="Change Monthly membership").click()

    expect(ada.get_by_role("option")).to_have_text(["Yearly membership, €490 / year"])


def test_a_declined_change_says_that_nothing_changed_and_leads_to_the_card(ada: Page, monthly_member: Web) -> None:
    monthly_member.answers[CHANGE] = refusal(402, "change-declined")
    monthly_member.answers["POST /billing-portal"] = Answer(body={"url": monthly_member.payment_page})
    see_costs(ada)

    ada.get_by_role("button", name="Change and pay €441").click()

    expect(ada.get_by_role("alert")).to_contain_text("Nothing changed, and nothing was charged.")
    expect(ada.get_by_role("alert")).not_to_contain_text("engineers")
    ada.get_by_role("alert").get_by_role("button", name="Use another card").click()
    ada.wait_for_url(monthly_member.payment_page)


def test_a_change_without_an_answer_is_sent_again_as_the_same_one_and_a_declined_one_as_another(
    ada: Page, monthly_member: Web
) -> None:
    changed = Answer(body=a_purchase(offer_id="yearly", state="changed"))
    monthly_member.answers[CHANGE] = [LOST, LOST, LOST, LOST, refusal(402, "change-declined"), changed]
    see_costs(ada)
    confirm = ada.get_by_role("button", name="Change and pay €441")

    for words in ("We cannot reach the shop", "The payment was declined"):
        confirm.click()
        expect(ada.get_by_role("alert")).to_contain_text(words)
    has(monthly_member, offer_id="yearly")
    confirm.click()
    expect(ada.get_by_role("heading", name="Yearly membership")).to_be_visible()

    *lost, declined, made = (one for one in monthly_member.keys if one)
    assert len(lost) == 4
    assert set(lost) == {declined} != {made}


def test_a_change_that_the_bank_must_approve_leads_to_the_approval(ada: Page, monthly_member: Web) -> None:
    waits = a_purchase(mend_url=monthly_member.payment_page)
    monthly_member.answers[CHANGE] = Answer(status=202, body=waits | {"state": "pending"})
    see_costs(ada)
    monthly_member.answers["GET /subscription-status"] = account(waits)

    ada.get_by_role("button", name="Change and pay €441").click()

    expect(card(ada)).to_contain_text("Your bank wants you to approve a payment. Nothing changes until then.")
    ada.get_by_role("link", name="Approve the payment").click()
    ada.wait_for_url(monthly_member.payment_page)


def test_cancelling_asks_once_and_says_until_when_it_lasts(ada: Page, monthly_member: Web) -> None:
    cancelled = a_purchase(cancel_at=LATER, renews_at=None)
    monthly_member.answers["POST /purchases/co_1/cancel"] = Answer(body=cancelled)
    ada.goto("/account")

    ada.get_by_role("button", name="Cancel Monthly membership").click()
    expect(ada.get_by_role("heading", name="Cancel Monthly membership?")).to_be_focused()
    expect(card(ada)).to_contain_text("You can use it until 15 January 2027, and nothing more is charged.")
    assert monthly_member.times("POST /purchases/co_1/cancel") == 0

    monthly_member.answers["GET /subscription-status"] = account(cancelled)
    ada.get_by_role("button", name="Yes, cancel Monthly membership").click()
    expect(card(ada)).to_contain_text("Ends on15 January 2027")
    expect(card(ada)).to_contain_text("You cancelled it.")
    expect(ada.get_by_role("button", name="Change Monthly membership")).to_have_count(0)


def test_who_keeps_it_after_all_is_back_where_they_were(ada: Page, monthly_member: Web) -> None:
    ada.goto("/account")

    ada.get_by_role("button", name="Cancel Monthly membership").click()
    ada.get_by_role("button", name="Keep Monthly membership").click()

    expect(ada.get_by_role("button", name="Cancel Monthly membership")).to_be_focused()
    assert monthly_member.times("POST /purchases/co_1/cancel") == 0


def test_a_cancellation_is_taken_back(ada: Page, monthly_member: Web) -> None:
    has(monthly_member, cancel_at=LATER, renews_at=None)
    monthly_member.answers["POST /purchases/co_1/resume"] = Answer(body=a_purchase())
    ada.goto("/account")
    resume = ada.get_by_role("button", name="Resume Monthly membership")
    expect(resume).to_be_visible()

    has(monthly_member)
    resume.click()

    expect(card(ada)).to_contain_text("Next payment€49.50 on 15 January 2027")
    expect(ada.get_by_role("button", name="Cancel Monthly membership")).to_be_visible()


def test_what_was_done_shows_even_if_the_account_cannot_be_read_again(ada: Page, monthly_member: Web) -> None:
    monthly_member.answers["POST /purchases/co_1/cancel"] = Answer(body=a_purchase(cancel_at=LATER, renews_at=None))
    ada.goto("/account")
    ada.get_by_role("button", name="Cancel Monthly membership").click()

    monthly_member.answers["GET /subscription-status"] = LOST
    ada.get_by_role("button", name="Yes, cancel Monthly membership").click()

    expect(card(ada)).to_contain_text("Ends on15 January 2027")
    expect(ada.get_by_role("alert")).to_have_count(0)


def test_a_change_that_shows_later_than_its_answer_needs_no_reload(ada: Page, monthly_member: Web) -> None:
    monthly_member.answers["POST /purchases/co_1/cancel"] = Answer(body=a_purchase())
    ada.clock.install()
    ada.goto("/account")
    ada.get_by_role("button", name="Cancel Monthly membership").click()
    ada.get_by_role("button", name="Yes, cancel Monthly membership").click()
    expect(card(ada)).to_contain_text("Next payment")

    has(monthly_member, cancel_at=LATER, renews_at=None)
    ada.clock.fast_forward(3_000)

    expect(card(ada)).to_contain_text("Ends on15 January 2027")


def test_a_subscription_whose_period_is_not_known_yet_needs_no_reload(ada: Page, monthly_member: Web) -> None:
    has(monthly_member, renews_at=None)
    ada.clock.install()
    ada.goto("/account")
    expect(card(ada)).to_contain_text("Valid until")
    ada.clock.fast_forward(120_000)

    has(monthly_member)
    ada.clock.fast_forward(12_000)

    expect(card(ada)).to_contain_text("Next payment")


@pytest.mark.parametrize("status", ["past_due", "unpaid"])
def test_an_overdue_subscription_says_so_and_offers_to_pay_or_to_use_another_card(
    ada: Page, monthly_member: Web, status: str
) -> None:
    has(monthly_member, status=status, mend_url=monthly_member.payment_page)
    monthly_member.answers["POST /billing-portal"] = Answer(body={"url": monthly_member.payment_page})

    ada.goto("/account")

    overdue = {"past_due": "Payment overdue", "unpaid": "Unpaid"}[status]
    expect(card(ada)).to_contain_text(overdue)
    expect(ada.get_by_role("link", name="Pay now for Monthly membership")).to_have_attribute(
        "href", monthly_member.payment_page
    )
    ada.get_by_role("button", name="Use another card for Monthly membership").click()
    ada.wait_for_url(monthly_member.payment_page)
    assert json.loads(monthly_member.sent["POST /billing-portal"]) == {"return_url": f"{monthly_member.shop}/account"}


def test_cards_invoices_and_receipts_are_on_the_providers_page(ada: Page, monthly_member: Web) -> None:
    monthly_member.answers["POST /billing-portal"] = Answer(body={"url": monthly_member.payment_page})
    ada.goto("/account")
    expect(ada.get_by_role("region", name="Receipts and cards")).to_contain_text("Each invoice and receipt")

    ada.get_by_role("button", name="Cards and invoices").click()

    ada.wait_for_url(monthly_member.payment_page)


@pytest.mark.parametrize(
    ("slug", "words"),
    [
        ("payment-due", "The last bill of this subscription is not paid"),
        ("resume-first", "It was cancelled, and what ends cannot be changed."),
        ("change-impossible", "It is paid by debit or by invoice."),
        ("collection-paused", "The shop has paused it"),
        ("subscription-ended", "It ended a moment ago"),
        ("being-refunded", "That ends this subscription"),
        ("not-reported-yet", "the payment provider is still setting it up"),
        ("not-a-subscription", "It was paid once"),
        ("unknown-offer", "The shop took it off its list"),
    ],
)
def test_every_refusal_of_a_change_is_told_in_plain_words(
    ada: Page, monthly_member: Web, slug: str, words: str
) -> None:
    monthly_member.answers[PREVIEW] = refusal(409, slug)
    ada.goto("/account")

    ada.get_by_role("button", name="Change Monthly membership").click()
    ada.get_by_role("button", name="See what the change").click()

    expect(ada.get_by_role("alert")).to_contain_text(words)
    expect(ada.get_by_role("alert")).not_to_contain_text("engineers")


@pytest.mark.parametrize(
    ("act", "confirm"),
    [("cancel", "Yes, cancel Monthly membership"), ("resume", "Resume Monthly membership")],
)
def test_a_refused_step_says_why_and_can_be_tried_again(ada: Page, monthly_member: Web, act: str, confirm: str) -> None:
    if act == "resume":
        has(monthly_member, cancel_at=LATER, renews_at=None)
    monthly_member.answers[f"POST /purchases/co_1/{act}"] = refusal(409, "subscription-ended")
    ada.goto("/account")
    if act == "cancel":
        ada.get_by_role("button", name="Cancel Monthly membership").click()

    ada.get_by_role("button", name=confirm).click()

    expect(ada.get_by_role("alert")).to_contain_text("This subscription has ended")
    expect(ada.get_by_role("alert").get_by_role("link", name="Go to the shop")).to_be_visible()
    expect(ada.get_by_role("button", name=confirm)).to_be_enabled()


def test_a_portal_that_does_not_open_says_why(ada: Page, monthly_member: Web) -> None:
    monthly_member.answers["POST /billing-portal"] = refusal(409, "nothing-to-manage")
    ada.goto("/account")

    ada.get_by_role("button", name="Cards and invoices").click()

    expect(ada.get_by_role("alert")).to_contain_text("There are no cards and invoices yet")


def test_a_pass_shows_what_is_left_of_ten(ada: Page, monthly_member: Web) -> None:
    ten = {"offer_id": "ten", "kind": "pass", "renews_at": None, "uses": 10}
    monthly_member.answers["GET /subscription-status"] = account(
        a_purchase(**ten, purchase_id="co_7", uses_left=7),
        a_purchase(**ten, purchase_id="co_8", uses_left=0, status="ended"),
    )

    ada.goto("/account")

    cards = card(ada, "Ten classes")
    expect(cards.first).to_contain_text("7 of 10 left")
    expect(cards.first).to_contain_text("Show this at the door: co_7")
    expect(cards.first.locator(".dots > :not(.used)")).to_have_count(7)
    expect(cards.last).to_contain_text("All 10 are used. You can buy it again in the shop.")


def test_what_moves_meanwhile_closes_no_panel(ada: Page, monthly_member: Web) -> None:
    waits = a_purchase(purchase_id="co_2", offer_id="ten", kind="pass", status="pending", renews_at=None)
    monthly_member.answers["GET /subscription-status"] = account(a_purchase(), waits)
    ada.clock.install()
    ada.goto("/account")
    ada.get_by_role("button", name="Cancel Monthly membership").click()
    expect(ada.get_by_role("heading", name="Cancel Monthly membership?")).to_be_visible()

    monthly_member.answers["GET /subscription-status"] = account(a_purchase(), waits | {"status": "active"})
    with ada.expect_response("**/bookings?limit=50"):
        ada.clock.fast_forward(10_000)

    expect(ada.get_by_role("heading", name="Cancel Monthly membership?")).to_be_visible()
    ada.get_by_role("button", name="Keep Monthly membership").click()
    ada.clock.fast_forward(10_000)
    expect(card(ada, "Ten classes")).to_contain_text("Active")


def test_a_change_is_made_with_the_keyboard_alone(ada: Page, monthly_member: Web) -> None:
    monthly_member.answers[CHANGE] = Answer(body=a_purchase(offer_id="yearly", state="changed"))
    ada.goto("/account")
    ada.get_by_role("button", name="Change Monthly membership").focus()

    ada.keyboard.press("Enter")
    expect(ada.get_by_role("heading", name="Change Monthly membership")).to_be_focused()
    ada.keyboard.press("Tab")
    expect(ada.get_by_label("New plan")).to_be_focused()
    ada.keyboard.press("Tab")
    expect(ada.get_by_role("button", name="See what the change")).to_be_focused()
    ada.keyboard.press("Enter")
    expect(ada.get_by_role("heading", name="Yearly membership: what you pay")).to_be_focused()
    ada.keyboard.press("Tab")
    expect(ada.get_by_role("button", name="Change and pay €441")).to_be_focused()
    has(monthly_member, offer_id="yearly")
    ada.keyboard.press("Enter")

    expect(ada.get_by_role("heading", name="Yearly membership")).to_be_focused()
