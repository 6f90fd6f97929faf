"""Every page in every state, in light and dark: what can be seen can be read, reached and named."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.storefront.web import (
    LATER,
    OFFERS,
    Answer,
    Web,
    a_booking,
    a_purchase,
    access,
    account,
    an_offer,
    billing,
    members,
    preview,
    problem,
    purchase,
    refusal,
)

STATES = ["active", "past_due", "failed", "disputed", "refunded", "refunding", "quarantined", "pending"]
UNNAMED = re.compile(r"^\s*- (button|link|heading|region|progressbar|navigation|textbox|combobox)(?! \")", re.MULTILINE)
# What is wrong with the page as it is now, in sentences: contrast (WCAG 1.4.3), reflow, sizes of targets, structure.
AUDIT = """() => {
    const troubles = [];
    const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
    const light = (rgb) => {
        const [r, g, b] = rgb.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (node) => {
        for (let at = node; at; at = at.parentElement) {
            const [r, g, b, alpha = 1] = numbers(getComputedStyle(at).backgroundColor);
            if (alpha === 1) return [r, g, b];
            if (alpha > 0) troubles.push(`half a background on ${at.outerHTML.slice(0, 80)}`);
        }
        return [255, 255, 255];
    };
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        const text = texts.currentNode.textContent.trim(), node = texts.currentNode.parentElement;
        if (!text || !node.checkVisibility() || node.closest("noscript, .hidden")) continue;
        const style = getComputedStyle(node), size = parseFloat(style.fontSize);
        const [a, b] = [light(numbers(style.color).slice(0, 3)), light(behind(node))].sort((x, y) => y - x);
        const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
        const contrast = (a + 0.05) / (b + 0.05);
        if (contrast < (large ? 3 : 4.5)) troubles.push(`${contrast.toFixed(2)} is the contrast of "${text}"`);
    }
    for (const node of document.querySelectorAll("a, button, input, select, summary")) {
        if (!node.checkVisibility()) continue;
        const { width, height } = node.getBoundingClientRect();
        if (!node.matches(".skip") && (width < 24 || height < 24)) troubles.push(`small: ${node.outerHTML}`);
    }
    const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
    for (const id of new Set(ids.filter((one, nth) => ids.indexOf(one) !== nth))) troubles.push(`twice: #${id}`);
    const levels = [...document.querySelectorAll("h1, h2, h3")].map((node) => Number(node.localName[1]));
    if (levels.filter((level) => level === 1).length !== 1) troubles.push("not one h1");
    if (levels.some((level, nth) => level > (levels[nth - 1] ?? 0) + 1)) troubles.push(`levels ${levels}`);
    const over = document.documentElement.scrollWidth - innerWidth;
    const all = [...document.body.querySelectorAll("*")];
    const wide = all.filter((node) => node.getBoundingClientRect().right > innerWidth);
    if (over > 0) troubles.push(`${over} px too wide: ${wide.at(-1)?.outerHTML}`);
    if (!document.title.endsWith(" · paidup")) troubles.push(`title ${document.title}`);
    return troubles;
}"""


def faults(page: Page) -> list[str]:
    """Return what is wrong with the page for people with a small screen, weak eyes, or none."""
    page.wait_for_function("!document.querySelector('[aria-busy=true]')")
    page.evaluate(
        "Promise.all(document.getAnimations().map((one) => one.effect.getTiming().iterations === 1 && one.finished))"
    )
    for role in ("banner", "main", "contentinfo"):
        expect(page.get_by_role(role)).to_have_count(1)
    found: list[str] = page.evaluate(AUDIT)
    return found + UNNAMED.findall(page.locator("body").aria_snapshot())


def visit(page: Page, path: str, wait_for: str) -> None:
    """Open *path* and wait for the heading *wait_for*."""
    page.goto(path)
    expect(page.get_by_role("heading", name=wait_for).first).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_of_a_customer_are_for_everybody(ada: Page, web: Web, scheme: str) -> None:
    ada.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    ada.set_viewport_size({"width": 320, "height": 700})
    web.answers["POST /payment-tokens"] = problem(503, "The payment provider does not answer", "Try again.")
    visit(ada, "/", "Ten classes")
    ada.get_by_role("button", name="Buy Ten classes").click()
    expect(ada.get_by_role("alert")).to_be_visible()
    assert faults(ada) == []

    visit(ada, "/account", "Nothing here yet")
    assert faults(ada) == []
    of_each_state = [a_purchase(status=one) for one in STATES]
    web.answers["GET /subscription-status"] = account(
        *of_each_state,
        checkout={"checkout_id": "co_1"},
        booking=a_booking(),
        access=[access("co_9", "ten", kind="pass", uses=10, uses_left=7)],
    )
    over = [a_booking(status=one, purchase_id="co_9") for one in ("finished", "cancelled", "expired")]
    web.answers["GET /bookings"] = Answer(body={"bookings": over})
    visit(ada, "/account", "You were buying Monthly membership")
    ada.get_by_role("button", name="Missing a pass?").click()
    expect(ada.get_by_text("is already here")).to_be_visible()
    assert faults(ada) == []

    visit(ada, "/cancel?checkout_id=co_1", "Nothing was charged")
    assert faults(ada) == []
    visit(ada, "/", "Ten classes")
    expect(ada.get_by_text("You have this")).to_have_count(2)
    assert faults(ada) == []
    visit(ada, "/sessions", "This page is for those who give live sessions")
    assert faults(ada) == []
    web.answers["POST /billing-token"] = billing(1, access("co_1", "monthly", until=LATER))
    web.answers["GET /members"] = refusal(403, "access-required")
    visit(ada, "/members-area", "Members only")
    assert faults(ada) == []
    web.answers["GET /members"] = members(1, access("co_1", "monthly", until=LATER))
    visit(ada, "/members-area", "Welcome, member")
    ada.evaluate("document.querySelector('#connection').textContent = 'No connection.'")
    ada.evaluate("document.querySelector('#connection').hidden = false")
    assert faults(ada) == []

    web.answers["GET /subscription-status/co_1"] = purchase("confirming", again_ms=60_000)
    visit(ada, "/success?checkout_id=co_1", "1/15")
    assert faults(ada) == []
    web.answers["GET /subscription-status/co_1"] = purchase("confirming")
    visit(ada, "/success?checkout_id=co_1", "Not confirmed yet")
    assert faults(ada) == []
    web.answers["GET /subscription-status/co_1"] = purchase("failed")
    visit(ada, "/success?checkout_id=co_1", "The payment did not go through")
    assert faults(ada) == []
    story = [{"what": "payment paid", "at": LATER, "channel": "webhook", "said_by": "stripe", "settled_at": LATER}]
    web.answers["GET /subscription-status/co_1"] = purchase("active", a_purchase(), moments=story)
    visit(ada, "/success?checkout_id=co_1", "Your subscription is active")
    ada.get_by_text("What happened").click()
    assert faults(ada) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_managing_a_subscription_is_for_everybody(ada: Page, web: Web, scheme: str) -> None:
    ada.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    ada.set_viewport_size({"width": 320, "height": 700})
    team = an_offer("team", "Team", kind="subscription", interval="month", adjustable_quantity=True, max_quantity=20)
    web.answers["GET /offers"] = Answer(body={"offers": [*OFFERS, team]})
    ten = a_purchase(purchase_id="co_7", offer_id="ten", kind="pass", renews_at=None, uses=10, uses_left=7)
    waits = a_purchase(purchase_id="co_8", offer_id="ten", mend_url=web.payment_page)
    web.answers["GET /subscription-status"] = account(a_purchase(), ten, waits)
    web.answers["POST /purchases/co_1/change?preview=true"] = preview(offer_id="team", quantity=1)
    web.answers["POST /purchases/co_1/change"] = refusal(402, "change-declined")

    visit(ada, "/account?change=co_1&to=team&refused=yes", "Team: what you pay")
    ada.get_by_role("button", name="Change and pay €441").click()
    expect(ada.get_by_role("alert")).to_be_visible()
    assert faults(ada) == []

    visit(ada, "/account", "Monthly membership")
    ada.get_by_role("button", name="Cancel Monthly membership").click()
    assert faults(ada) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_of_a_stranger_are_for_everybody(page: Page, web: Web, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    visit(page, "/", "Ten classes")
    assert faults(page) == []
    visit(page, "/account", "Sign in to see your passes")
    assert faults(page) == []
    visit(page, "/cancel", "Nothing was charged")
    assert faults(page) == []
    visit(page, "/success", "Which purchase?")
    assert faults(page) == []
    web.answers["GET /offers"] = Answer(body={"offers": []})
    visit(page, "/", "Nothing is for sale right now")
    assert faults(page) == []


def test_the_audit_sees_what_is_wrong(page: Page, web: Web) -> None:
    visit(page, "/", "Ten classes")
    page.evaluate("document.querySelector('h1').outerHTML = '<h3>Pale</h3><button id=main></button>'")
    page.evaluate("document.querySelector('h3').style.color = '#ddd'; document.title = ''")
    page.evaluate("document.querySelector('#main + *, #main').style.width = '2000px'")
    found = "\n".join(faults(page))
    for fault in ('contrast of "Pale"', "twice: #main", "not one h1", "levels 3", "too wide", "title", "button"):
        assert fault in found


def test_nothing_turns_for_those_who_want_less_motion(ada: Page, web: Web) -> None:
    ada.emulate_media(reduced_motion="reduce")
    web.answers["GET /subscription-status/co_1"] = purchase("active", a_purchase())
    visit(ada, "/success?checkout_id=co_1", "Your subscription is active")
    assert ada.evaluate("document.getAnimations().length") == 0
