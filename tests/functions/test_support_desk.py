"""The desk: support finds a customer, sees what happened, and mends it, with a reason; nobody else sees any of it."""

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import boto3
import pytest

from tests.functions.billing import issued
from tests.functions.merchant import cases, link, pay_link, price
from tests.functions.story import Story
from tests.functions.test_refusals import another_writer_is_first, refused
from tests.functions.wire import Wire, be_down, forbidden, wire_to
from tests.handlers import Answer, invoke, queue_event, request
from tests.world import World

WHY = "the customer called"
SAM = "sam"


def desk(route: str, *, body: Any = None) -> Answer:
    """Ask the desk as somebody of support."""
    return request(route, customer=SAM, roles="support", body=body)


def ok(route: str, *, body: Any = None) -> Any:
    answer = desk(route, body=body)
    assert answer.status == 200, answer.text
    return answer.json


def found(query: str) -> list[str]:
    customers: list[str] = ok("POST /support/find", body={"query": query})["customers"]
    return customers


def act(path: str, **more: Any) -> Any:
    """Do something at the desk, with a reason."""
    return ok(f"POST /support/{path}", body={"reason": WHY, **more})


def file_of(customer: str) -> Any:
    return ok(f"GET /support/customers/{customer}")


def work_on(event: Mapping[str, Any], attempt: int = 1) -> bool:
    """Let process_webhook work on *event* once, and return whether it failed."""
    answer = invoke(*queue_event({"body": json.dumps(event), "attributes": {"ApproximateReceiveCount": str(attempt)}}))
    return bool(answer["batchItemFailures"])


def in_english(moments: list[Any]) -> list[tuple[str, str | None, str | None]]:
    return [(one["what"], one["decided_by"], one["reason"]) for one in moments]


@pytest.fixture
def unsettled(story: Story, wire: Wire) -> dict[str, Any]:
    """An event that failed, since Stripe was down. Stripe is up again."""
    story.buys("monthly")
    story.world.pass_time(1)
    (event,) = [{**one, "api_version": "2024-06-20"} for one in story.news("checkout.session.completed")]
    wire.inject("GET /v1/checkout/sessions", be_down)
    assert work_on(event)
    wire.mend()
    return event


def listed() -> dict[str, Any]:
    """Return the failed events that the desk lists, by id."""
    return {one["event_id"]: one for one in ok("GET /support/events")["events"]}


ROUTES = [
    ("POST /support/find", {"query": "ada"}),
    ("GET /support/customers/ada", None),
    ("POST /support/customers/ada/sync", {"reason": WHY}),
    ("POST /support/customers/ada/assign", {"reason": WHY, "payment": "pi_1", "offer_id": "day_pass"}),
    ("GET /support/events", None),
    ("POST /support/replays", {"wrong": "body"}),
]


class TestWhoIsNotOfSupport:
    @pytest.mark.parametrize("roles", ["customer", "host", "service", "customer,host,service"])
    @pytest.mark.parametrize(("route", "body"), ROUTES)
    def test_finds_no_desk(self, world: World, roles: str, route: str, body: Any) -> None:
        answer = request(route, customer="ada", roles=roles, body=body)

        nowhere = request("GET /nowhere", customer="ada", function="manual_sync")
        assert refused(answer) == refused(nowhere) == (404, "not-found")
        assert answer.json["next"] == nowhere.json["next"]


class TestFinding:
    def test_a_customer_by_any_id_that_is_about_them(self, story: Story) -> None:
        story.buys("day_pass")
        (paid,) = story.news("checkout.session.completed")
        story.world.pass_time(2)
        story.world.deliver(paid)
        intent = story.session()["payment_intent"]
        reference = f"{story.buyer}.{story.purchase['purchase_id'][-6:]}"

        for query in (
            story.buyer,
            f"  {story.buyer} ",
            story.customer(),
            story.token["token"],
            intent["id"],
            intent["latest_charge"],
            paid["id"],
            reference,
        ):
            assert found(query) == [story.buyer], query

    @pytest.mark.parametrize("spelled", [str, str.upper])
    def test_a_customer_by_e_mail_address(self, story: Story, spelled: Any) -> None:
        story.opens("day_pass")

        assert found(spelled(f"{story.buyer}@example.com")) == [story.buyer]

    def test_a_customer_by_an_invoice_of_theirs(self, story: Story) -> None:
        story.buys("monthly")
        story.hear()

        assert found(story.plan()["latest_invoice"]) == [story.buyer]

    @pytest.mark.parametrize("query", ["nobody", "nobody@example.com", "pi_nobody", "../x"])
    def test_nobody(self, world: World, query: str) -> None:
        assert found(query) == []

    def test_says_when_stripe_cannot_be_asked(self, world: World, wire: Wire) -> None:
        wire.inject("GET /v1/customers", be_down)
        assert refused(desk("POST /support/find", body={"query": "a@b.example"})) == (503, "provider-unavailable")
        wire.inject("GET /v1/customers", forbidden)
        wire.mend()
        wire.inject("GET /v1/payment_intents", forbidden)
        assert refused(desk("POST /support/find", body={"query": "pi_1"})) == (502, "provider-refused")

    def test_logs_no_address(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        found("somebody@example.com")

        assert "somebody@" not in "".join(capsys.readouterr())


class TestACustomersPage:
    def test_shows_what_happened_and_what_each_register_says(self, story: Story) -> None:
        story.buys("ten_class_pass")
        story.hear()

        page = file_of(story.buyer)

        (purchase,) = page["purchases"]
        assert (purchase["status"], purchase["offer_id"]) == ("active", "ten_class_pass")
        assert [(one["register"], one["says"], one["channel"]) for one in purchase["registers"]] == [
            ("payment", "paid, 120 EUR", "webhook")
        ]
        (paid,) = page["timeline"]
        assert (paid["channel"], paid["said_by"], paid["purchase_id"]) == ("webhook", "stripe", purchase["purchase_id"])
        assert ok(f"GET /support/events/stripe/{paid['fact_id']}")["event"]["status"] == "settled"
        assert page["provider_customers"] == [f"stripe#{story.customer()}"]

    def test_shows_when_the_first_billing_token_told_of_it(self, story: Story) -> None:
        story.buys("day_pass")
        story.hear()
        assert issued(story.buyer)["billing_version"] == 1
        first = story.world.now()
        story.world.pass_time(60)
        issued(story.buyer)

        told, _paid = file_of(story.buyer)["timeline"]

        assert (told["what"], told["at"], told["channel"]) == ("billing token issued, version 1", first, "request")

    def test_shows_a_subscription_in_words(self, story: Story) -> None:
        story.buys("monthly")
        story.hear()

        registers = {
            one["register"].partition("#")[0]: one["says"] for one in file_of(story.buyer)["purchases"][0]["registers"]
        }

        assert registers["subscription"].startswith("active, 1 of monthly, 49 EUR until ")
        assert registers["invoice"].startswith("paid, 49 EUR, made on ")

    def test_of_nobody_is_not_there(self, world: World) -> None:
        assert refused(desk("GET /support/customers/nobody-at-all")) == (404, "not-found")

    def test_shows_failed_events_of_theirs_alone(self, story: Story, unsettled: dict[str, Any]) -> None:
        other = story.world.customer()
        story.world.buy(customer=other)

        assert [one["event_id"] for one in file_of(story.buyer)["failed_events"]] == [unsettled["id"]]
        assert file_of(other)["failed_events"] == []


class TestAnEventThatFails:
    def test_is_at_the_desk_at_once_with_its_traceback_is_replayed_and_is_gone(
        self, story: Story, unsettled: dict[str, Any]
    ) -> None:
        record = listed()[unsettled["id"]]
        assert (record["type"], record["status"], record["attempts"]) == ("checkout.session.completed", "failed", 1)
        assert record["error"].startswith("IdempotencyKeySpent: stripe did not answer")
        assert "Traceback" in record["traceback"]
        assert "in facts_of" in record["traceback"]
        assert json.loads(ok(f"GET /support/events/stripe/{unsettled['id']}")["body"]) == unsettled

        after = act(f"events/stripe/{unsettled['id']}/replay")

        assert (after["status"], after["attempts"], after["customer_id"]) == ("settled", 2, story.buyer)
        assert unsettled["id"] not in listed()
        assert list(story.access) == ["monthly"]

    def test_settles_as_the_webhook_would_have_and_says_who_let_it(
        self, story: Story, unsettled: dict[str, Any]
    ) -> None:
        act(f"events/stripe/{unsettled['id']}/replay")

        timeline = file_of(story.buyer)["timeline"]
        assert (f"event {unsettled['id']} replayed by support", SAM, WHY) in in_english(timeline)
        assert {one["channel"] for one in timeline} == {"support"}

    def test_is_kept_with_who_replayed_it_if_it_fails_again(
        self, story: Story, unsettled: dict[str, Any], wire: Wire
    ) -> None:
        wire.inject("GET /v1/checkout/sessions", be_down)

        after = act(f"events/stripe/{unsettled['id']}/replay")

        assert (after["status"], after["attempts"]) == ("failed", 2)
        assert (after["replayed_by"], after["reason"]) == (SAM, WHY)
        assert listed()[unsettled["id"]]["attempts"] == 2

    def test_is_listed_though_the_buyer_still_waits_for_the_webhooks_answer(self, story: Story, wire: Wire) -> None:
        story.buys("monthly")
        (event,) = [{**one, "api_version": "2024-06-20"} for one in story.news("checkout.session.completed")]
        wire.inject("GET /v1/checkout/sessions", be_down)

        assert story.world.deliver(event).json == {"received": "queued"}

        assert "Traceback" in listed()[event["id"]]["traceback"]
        wire.mend()
        assert story.world.work_queue() == []
        assert event["id"] not in listed()

    def test_keeps_no_secret_and_no_address(self, story: Story, wire: Wire) -> None:
        story.buys("monthly")
        (event,) = [{**one, "api_version": "2024-06-20"} for one in story.news("checkout.session.completed")]
        said = "No such key sk_test_4eC39HqLyjWDarjtT1zdp7dc of ada@example.com, card 4242 4242 4242 4242"
        error = json.dumps({"error": {"type": "invalid_request_error", "message": said}}).encode()
        wire.inject("GET /v1/checkout/sessions", lambda exchange: exchange.answer(400, [], error))

        work_on(event)

        traceback = listed()[event["id"]]["traceback"]
        assert "No such key (a secret) of (an address), card (a number)" in traceback
        assert len(traceback) <= 6_000


class TestAReplay:
    def test_of_a_settled_event_changes_nothing(self, story: Story) -> None:
        story.buys("day_pass")
        (event,) = story.news("checkout.session.completed")
        story.world.pass_time(2)
        story.world.deliver(event)
        version = story.version

        assert act(f"events/stripe/{event['id']}/replay")["status"] == "settled"

        assert story.version == version
        assert list(story.access) == ["day_pass"]

    def test_of_an_event_that_never_came_fetches_it(self, story: Story) -> None:
        story.buys("day_pass")
        (lost,) = story.news("checkout.session.completed")
        story.world.pass_time(2)

        assert act(f"events/stripe/{lost['id']}/replay")["status"] == "settled"

        assert list(story.access) == ["day_pass"]

    def test_of_an_event_without_a_body_fetches_it(self, story: Story) -> None:
        """The body of a large event is not kept."""
        story.buys("day_pass")
        (event,) = story.news("checkout.session.completed")
        story.world.pass_time(2)
        huge = {
            **event,
            "api_version": "2024-06-20",
            "data": {"object": {"id": "cs_1", "noise": os.urandom(400_000).hex()}},
        }
        work_on(huge)
        assert ok(f"GET /support/events/stripe/{event['id']}")["body"] is None

        assert act(f"events/stripe/{event['id']}/replay")["status"] == "settled"

        assert list(story.access) == ["day_pass"]

    def test_of_what_concerns_nobody_is_ignored(self, story: Story) -> None:
        customer = str(story.post("customers", email="eve@example.com")["id"])
        (event,) = [
            one for one in story.world.events(type="customer.created") if one["data"]["object"]["id"] == customer
        ]

        assert act(f"events/stripe/{event['id']}/replay")["status"] == "ignored"

    def test_of_nothing_is_refused(self, world: World) -> None:
        assert refused(desk("POST /support/events/stripe/evt_1/replay", body={"reason": WHY})) == (404, "not-found")
        assert refused(desk("POST /support/events/paypal/evt_1/replay", body={"reason": WHY})) == (404, "not-found")
        assert refused(desk("GET /support/events/stripe/evt_1")) == (404, "not-found")

    def test_says_when_stripe_cannot_be_asked(self, world: World, wire: Wire) -> None:
        wire.inject("GET /v1/events", be_down)
        asked = "POST /support/events/stripe/evt_1/replay"
        assert refused(desk(asked, body={"reason": WHY})) == (503, "provider-unavailable")


class TestReplayingAll:
    @pytest.fixture
    def three(self, fresh_world: World, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Three events that failed one after the other: two of strangers to us, and one that will settle."""
        story = Story(fresh_world, fresh_world.customer())
        story.buys("day_pass")
        (good,) = story.news("checkout.session.completed")
        with wire_to(f"{fresh_world.fakes.url}/stripe") as down, monkeypatch.context() as patch:
            down.inject("GET", be_down)
            patch.setenv("PAIDUP_STRIPE_API_BASE", down.url)
            for event in (
                self.of_a_stranger(good, "a"),
                good | {"api_version": "2024-06-20"},
                self.of_a_stranger(good, "b"),
            ):
                fresh_world.pass_time(1)
                work_on(event)
        return [f"{good['id']}a", good["id"], f"{good['id']}b"]

    def of_a_stranger(self, event: Mapping[str, Any], suffix: str) -> dict[str, Any]:
        thing = {"id": "cs_test_gone", "noise": suffix}
        return {**event, "id": f"{event['id']}{suffix}", "api_version": "2024-06-20", "data": {"object": thing}}

    def run(self, **more: Any) -> Any:
        return act("replays", **more)

    def test_only_says_which_unless_it_is_told_to(self, three: list[str]) -> None:
        said = self.run()

        assert (said["dry_run"], [one["event_id"] for one in said["events"]]) == (True, three)
        assert {one["attempts"] for one in said["events"]} == {1}
        assert set(listed()) == set(three)

    def test_replays_each_once_though_it_fails_again(self, three: list[str]) -> None:
        done = self.run(dry_run=False)

        assert [(one["event_id"], one["status"]) for one in done["events"]] == [
            (three[0], "failed"),
            (three[1], "settled"),
            (three[2], "failed"),
        ]
        assert {an_id: one["attempts"] for an_id, one in listed().items()} == {three[0]: 2, three[2]: 2}

    def test_goes_on_after_one_that_stripe_does_not_give(
        self, three: list[str], fresh_world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        table = fresh_world.services.table
        first = table.event("stripe", three[0])
        assert first
        table.log(replace(first, body=""))
        with wire_to(f"{fresh_world.fakes.url}/stripe") as refusing:
            refusing.inject("GET /v1/events/", forbidden)
            monkeypatch.setenv("PAIDUP_STRIPE_API_BASE", refusing.url)
            done = self.run(dry_run=False)

        assert [(one["event_id"], one["status"]) for one in done["events"]][:2] == [
            (three[0], "failed"),
            (three[1], "settled"),
        ]

    def test_stops_at_its_cap_and_goes_on_without_those_that_failed_again(
        self, three: list[str], fresh_world: World
    ) -> None:
        fresh_world.pass_time(5)
        first = self.run(dry_run=False, most=2)
        assert ([one["event_id"] for one in first["events"]], first["more"]) == (three[:2], True)
        fresh_world.pass_time(5)

        then = self.run(dry_run=False, most=2, before=first["begun_at"])

        assert ([one["event_id"] for one in then["events"]], then["more"]) == (three[2:], False)

    @pytest.mark.parametrize(
        "wrong", [{"most": 0}, {"most": 101}, {"reason": " "}, {"reason": "x" * 501}, {"all": True}]
    )
    def test_is_bounded_and_wants_a_reason(self, world: World, wrong: dict[str, Any]) -> None:
        assert refused(desk("POST /support/replays", body={"reason": WHY, **wrong})) == (422, "malformed")


class TestADeadLetter:
    def bury(self, event: Mapping[str, Any]) -> None:
        attributes: Any = {"provider": {"DataType": "String", "StringValue": "stripe"}}
        boto3.client("sqs").send_message(
            QueueUrl=os.environ["PAIDUP_DEAD_LETTERS_URL"], MessageBody=json.dumps(event), MessageAttributes=attributes
        )

    def left(self) -> int:
        queue = boto3.client("sqs").get_queue_attributes(
            QueueUrl=os.environ["PAIDUP_DEAD_LETTERS_URL"], AttributeNames=["All"]
        )["Attributes"]
        return int(queue["ApproximateNumberOfMessages"]) + int(queue["ApproximateNumberOfMessagesNotVisible"])

    def test_that_nothing_is_known_of_becomes_a_failed_event(self, story: Story) -> None:
        story.buys("day_pass")
        (event,) = story.news("checkout.session.completed")
        story.world.pass_time(2)
        self.bury(event)

        record = listed()[event["id"]]

        assert (record["status"], record["dead_at"]) == ("failed", story.world.now())
        assert act(f"events/stripe/{event['id']}/replay")["status"] == "settled"
        assert list(story.access) == ["day_pass"]

    def test_says_that_it_is_one_beside_its_traceback(self, story: Story, unsettled: dict[str, Any]) -> None:
        self.bury(unsettled)

        record = listed()[unsettled["id"]]

        assert record["dead_at"] == story.world.now()
        assert "Traceback" in record["traceback"]

    def test_of_an_event_that_was_settled_since_is_removed(self, fresh_world: World) -> None:
        story = Story(fresh_world, fresh_world.customer())
        story.buys("day_pass")
        (event,) = story.news("checkout.session.completed")
        fresh_world.deliver(event)
        self.bury(event)
        assert self.left() == 1

        assert listed() == {}

        assert self.left() == 0

    def test_that_nobody_can_read_is_listed_too(self, fresh_world: World) -> None:
        self.bury({"no": "event"})

        (record,) = listed().values()

        assert (record["type"], record["status"]) == ("unreadable", "failed")


class TestMending:
    def test_a_sync_finds_what_was_lost(self, story: Story) -> None:
        story.buys("day_pass")
        story.world.pass_time(2)

        said = act(f"customers/{story.buyer}/sync")

        assert said["done"] == "Synced by support: 1 looked at, 1 granted, 0 problems."
        assert list(story.access) == ["day_pass"]
        (last,) = [one for one in file_of(story.buyer)["timeline"] if one["decided_by"]]
        assert (last["what"], last["decided_by"], last["reason"]) == (
            "synced by support: 1 looked at, 1 granted, 0 problems",
            SAM,
            WHY,
        )

    def test_a_case_is_granted_and_closed(self, story: Story) -> None:
        pay_link(story, link(story, price(story, 700, every=None)), client_reference_id=self.known(story))
        story.hear()
        (case,) = file_of(story.buyer)["cases"]
        assert case["reason"] == "unknown-price"
        assert case["case_id"] in {one["case_id"] for one in ok("GET /support/cases")["cases"]}

        act(f"customers/{story.buyer}/purchases/{case['purchase_id']}/grant")

        page = file_of(story.buyer)
        assert (page["cases"], cases(story)) == ([], {})
        assert ("granted by support", SAM, WHY) in in_english(page["timeline"])

    def known(self, story: Story) -> str:
        story.opens("day_pass")
        story.hear()
        return story.buyer

    def test_a_payment_is_refunded(self, story: Story) -> None:
        story.buys("day_pass")
        story.hear()
        purchase = f"customers/{story.buyer}/purchases/{story.token['checkout_id']}"

        said = act(f"{purchase}/refund")

        assert said["done"] == f"{story.token['checkout_id']} is refunded."
        assert ("refunded by support", SAM, WHY) in in_english(file_of(story.buyer)["timeline"])

    def test_everything_is_moved(self, story: Story) -> None:
        story.buys("day_pass")
        story.hear()
        other = story.world.customer()

        said = act(f"customers/{story.buyer}/move", to=other)

        assert said["done"].startswith("1 purchases")
        moved = in_english(file_of(other)["timeline"])
        assert (f"moved from the customer {story.buyer!r}", SAM, WHY) in moved
        assert refused(desk(f"POST /support/customers/{other}/move", body={"reason": WHY, "to": other})) == (
            422,
            "malformed",
        )

    def test_what_is_not_there_is_said_so(self, world: World, buyer: str) -> None:
        for step in ("grant", "refund"):
            answer = desk(f"POST /support/customers/{buyer}/purchases/co_1/{step}", body={"reason": WHY})
            assert refused(answer) == (404, "not-found")

    def test_a_buyer_reads_neither_who_nor_why(self, story: Story) -> None:
        story.buys("day_pass")
        story.hear()
        act(f"customers/{story.buyer}/purchases/{story.token['checkout_id']}/refund")

        told = json.dumps(story.world.status(story.token["checkout_id"], customer=story.buyer))

        assert "refunded by support" in told
        assert WHY not in told
        assert SAM not in told

    def test_is_tried_again_later_while_others_write(self, story: Story) -> None:
        story.buys("day_pass")
        story.hear()

        with another_writer_is_first(story.world):
            path = f"customers/{story.buyer}/purchases/{story.token['checkout_id']}/refund"
            answer = desk(f"POST /support/{path}", body={"reason": WHY})

        assert refused(answer) == (503, "contended")
        assert list(story.access) == ["day_pass"]


class TestAPaymentOfNobody:
    @pytest.fixture
    def paid(self, story: Story) -> dict[str, Any]:
        """Stripe's page on which somebody paid whom nobody knows, for something that names no offer."""
        pay_link(story, link(story, price(story, 1_500, every=None)), client_reference_id="user-17")
        (event,) = [one for one in story.news() if one["type"] == "checkout.session.completed"]
        story.world.pass_time(3)
        session: dict[str, Any] = event["data"]["object"]
        return session

    def test_is_found_and_assigned_to_a_customer(self, story: Story, paid: dict[str, Any]) -> None:
        intent = paid["payment_intent"]
        assert ok("POST /support/find", body={"query": paid["id"]}) == {
            "customers": [],
            "provider": "stripe",
            "unassigned": intent,
            "renews": False,
        }

        said = act(f"customers/{story.buyer}/assign", payment=intent, offer_id="day_pass")

        assert said["done"] == f"{intent} belongs to {story.buyer} as day_pass. It grants access."
        assert list(story.access) == ["day_pass"]
        assert found(paid["id"]) == found(intent) == [story.buyer]
        timeline = in_english(file_of(story.buyer)["timeline"])
        assert (f"stripe#{intent} assigned by support as day_pass", SAM, WHY) in timeline

    def test_is_refunded_and_told_of_like_any_other_then(self, story: Story, paid: dict[str, Any]) -> None:
        act(f"customers/{story.buyer}/assign", payment=paid["id"], offer_id="day_pass")

        story.post("refunds", payment_intent=paid["payment_intent"])
        story.hear("charge.refunded")

        assert (story.purchase["status"], story.access) == ("refunded", {})

    def test_stays_with_its_customer_if_its_page_is_reported_later(self, story: Story, paid: dict[str, Any]) -> None:
        act(f"customers/{story.buyer}/assign", payment=paid["id"], offer_id="day_pass")
        event = next(one for one in story.world.events(story.began) if one["data"]["object"].get("id") == paid["id"])

        assert story.world.deliver(event).status == 200
        assert story.world.work_queue(wait_s=3) == []

        assert len(story.account["purchases"]) == 1
        assert list(story.access) == ["day_pass"]

    def test_can_be_a_subscription(self, story: Story) -> None:
        pay_link(story, link(story, price(story, 4_900)), client_reference_id="user-18")
        (event,) = [one for one in story.news() if one["type"] == "customer.subscription.created"]
        plan = event["data"]["object"]["id"]
        story.world.pass_time(3)

        act(f"customers/{story.buyer}/assign", payment=plan, offer_id="monthly")
        story.world.pass_time(32 * 86_400)
        story.hear()

        assert list(story.access) == ["monthly"]
        assert story.purchase["status"] == "active"

    def test_is_assigned_once(self, story: Story, paid: dict[str, Any]) -> None:
        act(f"customers/{story.buyer}/assign", payment=paid["id"], offer_id="day_pass")
        body = {"reason": WHY, "payment": paid["payment_intent"], "offer_id": "day_pass"}

        answer = desk(f"POST /support/customers/{story.world.customer()}/assign", body=body)

        assert refused(answer) == (409, "payment-taken")
        assert story.buyer in answer.json["detail"]

    def test_is_none_if_our_own_page_took_it(self, story: Story) -> None:
        story.buys("day_pass")
        body = {"reason": WHY, "payment": story.token["token"], "offer_id": "day_pass"}

        answer = desk(f"POST /support/customers/{story.world.customer()}/assign", body=body)

        assert refused(answer) == (409, "payment-taken")

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"offer_id": "nothing"}, (422, "unknown-offer")),
            ({"offer_id": "monthly"}, (422, "malformed")),
            ({"offer_id": "live_session"}, (422, "malformed")),
            ({"payment": "pi_nobody"}, (404, "not-found")),
        ],
    )
    def test_is_refused_with_a_reason(
        self, story: Story, paid: dict[str, Any], wrong: dict[str, str], said: tuple[int, str]
    ) -> None:
        body = {"reason": WHY, "payment": paid["id"], "offer_id": "day_pass", **wrong}

        assert refused(desk(f"POST /support/customers/{story.buyer}/assign", body=body)) == said
        assert story.access == {}

    def test_is_refused_before_it_is_paid(self, story: Story) -> None:
        line = {"line_items[0][price]": price(story, 1_500, every=None), "line_items[0][quantity]": 1}
        page = story.post("checkout/sessions", mode="payment", success_url="https://shop.example/done", **line)["id"]
        body = {"reason": WHY, "payment": page, "offer_id": "day_pass"}

        answer = desk(f"POST /support/customers/{story.buyer}/assign", body=body)

        assert refused(answer) == (409, "nothing-to-assign")
