"""The desk's pages, where its API answers as a test says: who sees it, what it shows, and what it sends."""

import json
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.storefront.test_accessibility import faults
from tests.storefront.test_sessions import be_somebody
from tests.storefront.web import LATER, Answer, Web, a_purchase, account, problem, purchase

WHY = "the customer called"
TRACEBACK = 'Traceback (most recent call last):\n  File "events.py", line 3, in facts_of\nProviderUnavailable: away'


def an_event(**changes: Any) -> dict[str, Any]:
    """Return a failed event as the desk's API shows it."""
    usual = {
        "provider": "stripe",
        "event_id": "evt_1",
        "type": "invoice.paid",
        "status": "failed",
        "received_at": LATER,
    }
    known = {"attempts": 3, "ms": 41, "error": "ProviderUnavailable: away", "traceback": TRACEBACK, "dead_at": None}
    return usual | known | {"customer_id": None, "purchase_id": None, "replayed_by": None, "reason": None} | changes


def a_case(**changes: Any) -> dict[str, Any]:
    """Return an open review case as the desk's API shows it."""
    usual = {
        "case_id": "amount-mismatch-co_1",
        "reason": "amount-mismatch",
        "why": "49 EUR were asked for, 4 EUR paid.",
    }
    return usual | {"customer_id": "usr_ada", "purchase_id": "co_1", "opened_at": LATER} | changes


def a_moment(**changes: Any) -> dict[str, Any]:
    """Return something that happened as the desk's API shows it."""
    usual = {"what": "payment paid", "at": LATER, "said_by": "stripe", "channel": "webhook", "register": "payment"}
    known = {"settled_at": LATER + 2, "fact_id": "evt_2", "purchase_id": "co_1", "billing_version": 1}
    return usual | known | {"decided_by": None, "reason": None} | changes


def a_file(**changes: Any) -> Answer:
    """Return all that is known of Ada as the desk's API shows it."""
    registers = [
        {"register": "payment", "says": "paid, 49.50 EUR", "at": LATER, "fetched": False, "channel": "webhook"}
    ]
    bought = a_purchase(refs=["stripe#sub_1"], registers=registers, open_cases=[], paid_at=LATER)
    usual = {"customer_id": "usr_ada", "billing_version": 1, "provider_customers": ["stripe#cus_1"], "access": []}
    told = [a_moment(what="refunded by support", channel="support", decided_by="sam", reason="fell ill"), a_moment()]
    return Answer(
        body=usual | {"purchases": [bought], "cut": False, "timeline": told, "cases": [], "failed_events": []} | changes
    )


@pytest.fixture
def sam(ada: Page, web: Web) -> Page:
    """A tab of somebody of support, at whose desk nothing waits."""
    be_somebody(ada, "support")
    web.answers |= {
        "GET /support/cases": Answer(body={"cases": [], "more": False}),
        "GET /support/events": Answer(body={"events": [], "more": False}),
        "GET /support/customers/usr_ada": a_file(),
    }
    return ada


def sent(web: Web, what: str) -> Any:
    return json.loads(web.sent[what])


@pytest.mark.parametrize("role", ["customer", "host"])
def test_a_customer_and_a_host_find_no_such_page(ada: Page, web: Web, role: str) -> None:
    be_somebody(ada, role)

    ada.goto("/desk")

    expect(ada.get_by_role("heading", level=1)).to_have_text("There is no such page")
    expect(ada.get_by_role("navigation").get_by_role("link", name="Desk")).to_have_count(0)
    assert not [one for one in web.asked if "/support/" in one]
    assert faults(ada) == []


def test_what_waits_is_read_and_mended(sam: Page, web: Web) -> None:
    web.answers["GET /support/cases"] = Answer(body={"cases": [a_case()], "more": False})
    web.answers["GET /support/events"] = [
        Answer(body={"events": [an_event()], "more": False}),
        Answer(body={"events": [], "more": False}),
    ]
    web.answers["GET /support/events/stripe/evt_1"] = Answer(body={"event": an_event(), "body": '{"id": "evt_1"}'})
    web.answers["POST /support/events/stripe/evt_1/replay"] = Answer(body=an_event(status="settled"))
    sam.goto("/desk")
    sam.get_by_text("Traceback", exact=True).click()
    expect(sam.get_by_label("Traceback of invoice.paid evt_1")).to_contain_text("in facts_of")
    sam.get_by_text("Body", exact=True).click()
    expect(sam.get_by_label("Body of invoice.paid evt_1")).to_contain_text('"id": "evt_1"')
    sam.get_by_role("button", name="Replay: invoice.paid evt_1").click()
    assert faults(sam) == []

    sam.get_by_label("Reason").fill(WHY)
    sam.get_by_role("button", name="Replay: invoice.paid evt_1").click()

    expect(sam.get_by_text("evt_1 is settled.", exact=True).first).to_be_visible()
    expect(sam.get_by_text("No event has failed.")).to_be_visible()
    assert sent(web, "POST /support/events/stripe/evt_1/replay") == {"reason": WHY}
    assert faults(sam) == []


def test_a_customers_page_shows_what_happened_by_whom_and_why(sam: Page, web: Web) -> None:
    web.answers["GET /support/customers/usr_ada"] = a_file(cases=[a_case()], failed_events=[an_event(dead_at=LATER)])

    sam.goto("/desk#usr_ada")

    timeline = sam.get_by_role("region", name="Timeline")
    expect(timeline.get_by_role("listitem").first).to_contain_text("sam: “fell ill”")
    expect(timeline.get_by_role("listitem").last).to_contain_text("said by stripe · by webhook · settled 2 s later")
    sam.get_by_text("What the provider says").click()
    expect(sam.get_by_text("paid, 49.50 EUR")).to_be_visible()
    expect(sam.get_by_text("Dead letter")).to_be_visible()
    assert faults(sam) == []


def test_nothing_is_done_without_a_reason_and_a_refusal_is_answered_where_it_was_asked(sam: Page, web: Web) -> None:
    refused = "POST /support/customers/usr_ada/purchases/co_1/refund"
    web.answers[refused] = problem(409, "Nothing was paid", "Look at the purchase.")
    sam.goto("/desk#usr_ada")
    sam.get_by_role("button", name="Refund: Monthly membership").click()

    sam.get_by_role("button", name="Refund: Monthly membership").click()
    expect(sam.get_by_label("Reason")).to_be_focused()
    assert web.times(refused) == 0
    sam.get_by_label("Reason").fill(WHY)
    sam.get_by_role("button", name="Refund: Monthly membership").click()

    expect(sam.get_by_role("alert")).to_contain_text("Nothing was paid")
    assert sent(web, refused) == {"reason": WHY}


@pytest.mark.parametrize(
    ("step", "button", "done"),
    [("grant", "Grant it", "co_1 is active."), ("refund", "Refund it", "co_1 is refunding.")],
)
def test_a_case_is_decided_and_is_gone(sam: Page, web: Web, step: str, button: str, done: str) -> None:
    decided = f"POST /support/customers/usr_ada/purchases/co_1/{step}"
    web.answers["GET /support/cases"] = [
        Answer(body={"cases": [a_case()], "more": False}),
        Answer(body={"cases": [], "more": False}),
    ]
    web.answers[decided] = Answer(body={"done": done})
    sam.goto("/desk")
    sam.get_by_role("button", name=button).click()
    assert faults(sam) == []

    sam.get_by_label("Reason").fill(WHY)
    sam.get_by_role("button", name=button).click()

    expect(sam.get_by_text(done, exact=True).first).to_be_visible()
    expect(sam.get_by_text("No case is open.")).to_be_visible()
    assert sent(web, decided) == {"reason": WHY}


def test_a_refund_that_is_made_is_told_where_it_was_asked_and_shown(sam: Page, web: Web) -> None:
    made = "POST /support/customers/usr_ada/purchases/co_1/refund"
    after = a_purchase(refs=[], registers=[], open_cases=[], paid_at=LATER, status="refunded", refunded=4950)
    web.answers["GET /support/customers/usr_ada"] = [a_file(), a_file(purchases=[after])]
    web.answers[made] = Answer(body={"done": "co_1 is refunded."})
    sam.goto("/desk#usr_ada")
    sam.get_by_role("button", name="Refund: Monthly membership").click()

    sam.get_by_label("Reason").fill(WHY)
    sam.get_by_role("button", name="Refund: Monthly membership").click()

    card = sam.get_by_role("region", name="Purchases").get_by_role("listitem")
    expect(card).to_contain_text("co_1 is refunded.")
    expect(card).to_contain_text("Refunded")
    assert (web.times(made), sent(web, made)) == (1, {"reason": WHY})
    assert faults(sam) == []


def test_everything_is_moved_to_another_customer_who_must_be_named(sam: Page, web: Web) -> None:
    moved, told = "POST /support/customers/usr_ada/move", "1 purchases moved from usr_ada to usr_eve."
    web.answers["GET /support/customers/usr_ada"] = [a_file(), a_file(purchases=[])]
    web.answers[moved] = Answer(body={"done": told})
    sam.goto("/desk#usr_ada")
    sam.get_by_role("button", name="Move everything").click()
    sam.get_by_label("Reason").fill(WHY)

    sam.get_by_role("button", name="Move everything").click()
    expect(sam.get_by_label("To the customer id")).to_be_focused()
    assert web.times(moved) == 0
    sam.get_by_label("To the customer id").fill("usr_eve")
    sam.get_by_role("button", name="Move everything").click()

    expect(sam.get_by_text(told, exact=True).first).to_be_visible()
    expect(sam.get_by_text("Nothing was bought.")).to_be_visible()
    assert (web.times(moved), sent(web, moved)) == (1, {"to": "usr_eve", "reason": WHY})
    assert faults(sam) == []


def test_a_payment_is_given_to_the_customer_who_is_shown(sam: Page, web: Web) -> None:
    assigned, told = "POST /support/customers/usr_ada/assign", "pi_1 belongs to usr_ada as ten. It grants access."
    web.answers["GET /support/customers/usr_ada"] = [a_file(purchases=[]), a_file()]
    web.answers[assigned] = Answer(body={"done": told})
    sam.goto("/desk#usr_ada")
    sam.get_by_role("button", name="Assign a payment").click()

    sam.get_by_label("Payment or subscription").fill("pi_1")
    sam.get_by_label("It paid for").select_option("ten")
    sam.get_by_label("Reason").fill(WHY)
    sam.get_by_role("button", name="Assign a payment").click()

    expect(sam.get_by_text(told, exact=True).first).to_be_visible()
    expect(sam.get_by_role("region", name="Purchases")).to_contain_text("Monthly membership")
    assert sent(web, assigned) == {"payment": "pi_1", "offer_id": "ten", "reason": WHY}
    assert faults(sam) == []


def test_an_e_mail_address_is_sent_in_a_body_alone(sam: Page, web: Web) -> None:
    found = {"customers": ["usr_ada"], "provider": None, "unassigned": None, "renews": False}
    web.answers["POST /support/find"] = Answer(body=found)
    sam.goto("/desk")

    sam.get_by_role("searchbox").fill("ada@example.com")
    sam.get_by_role("button", name="Find").click()

    expect(sam.get_by_role("heading", level=1)).to_have_text("usr_ada")
    assert sent(web, "POST /support/find") == {"query": "ada@example.com"}
    assert "@" not in sam.url


def test_a_payment_of_nobody_is_given_to_a_customer(sam: Page, web: Web) -> None:
    found = {"customers": [], "provider": "stripe", "unassigned": "pi_1", "renews": False}
    web.answers["POST /support/find"] = Answer(body=found)
    web.answers["POST /support/customers/usr_ada/assign"] = Answer(body={"done": "pi_1 belongs to usr_ada as ten."})
    sam.goto("/desk")
    sam.get_by_role("searchbox").fill("cs_1")
    sam.get_by_role("button", name="Find").click()
    sam.get_by_role("button", name="Assign it").click()
    assert faults(sam) == []

    sam.get_by_label("Customer id", exact=True).fill("usr_ada")
    sam.get_by_label("It paid for").select_option("ten")
    sam.get_by_label("Reason").fill(WHY)
    sam.get_by_role("button", name="Assign it").click()

    expect(sam.get_by_text("pi_1 belongs to usr_ada as ten.").first).to_be_visible()
    assert sent(web, "POST /support/customers/usr_ada/assign") == {"payment": "pi_1", "offer_id": "ten", "reason": WHY}


def test_a_buyer_sees_their_own_story_and_what_to_tell_support(ada: Page, web: Web) -> None:
    web.answers["GET /subscription-status"] = account(a_purchase())
    told = [{"what": "payment paid", "at": LATER, "said_by": "stripe", "channel": "webhook", "settled_at": LATER + 1}]
    web.answers["GET /subscription-status/co_1"] = purchase("active", a_purchase(), moments=told)
    ada.goto("/account")

    ada.get_by_text("What happened").click()

    card = ada.get_by_role("main").get_by_role("listitem").filter(has_text="What happened")
    expect(card.first).to_contain_text("payment paid · heard 1 s later by webhook")
    expect(card.first).to_contain_text("usr_ada.co_1")
    assert faults(ada) == []
