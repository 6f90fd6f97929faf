"""The command `paidup` as support uses it: find, explain, sync, replay, decide, move, verify."""

import io
import json
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from tests.functions.door import hear
from tests.world import World
from tools import cli


def told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    """Run a command of the deployed stack for scripts, and return its exit code and what it printed."""
    capsys.readouterr()  # what the functions measured until now
    code = cli.main([*words, "--stack", "shop", "--json"])
    return code, json.loads(capsys.readouterr().out)


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Run a command of the deployed stack for people, and return its exit code and what it printed."""
    capsys.readouterr()
    code = cli.main([*words, "--stack", "shop"])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.fixture
def payer(shop: World) -> tuple[str, Any]:
    """A customer who has paid, and the token of the payment; nobody has heard of it yet."""
    buyer = shop.customer()
    token = shop.buy(customer=buyer).json
    shop.pay(token["url"])
    return buyer, token


@pytest.fixture
def failed(shop: World, payer: tuple[str, Any]) -> str:
    """The id of an event that came while the table took no account's write, so that it failed."""
    (event,) = [one for one in shop.events() if about(one, payer[1]["token"])]
    events = shop.services.table.client.meta.events

    def refuse(**_: Any) -> Any:
        error = {"Error": {"Code": "InternalServerError", "Message": "the table is ill"}}
        return AWSResponse("", 500, HTTPHeaders(), None), {**error, "ResponseMetadata": {"HTTPStatusCode": 500}}

    events.register("before-call.dynamodb.TransactWriteItems", refuse)
    try:
        assert shop.deliver(event).status == 200
        assert len(shop.work_queue(1)) == 1
    finally:
        events.unregister("before-call.dynamodb.TransactWriteItems", refuse)
    return str(event["id"])


def about(event: Any, session: str) -> bool:
    return bool(event["type"] == "checkout.session.completed" and event["data"]["object"]["id"] == session)


class TestExplain:
    def test_tells_what_was_bought_and_what_happened(
        self, shop: World, payer: tuple[str, Any], capsys: pytest.CaptureFixture[str]
    ) -> None:
        buyer, token = payer
        hear(shop, token["token"])

        code, out, _ = said(capsys, "explain", buyer)

        assert code == 0
        assert f"Customer {buyer}" in out
        assert f"{token['checkout_id']}\tten_class_pass\tactive\t120 EUR" in out
        assert "\twebhook\t" in out

    @pytest.mark.parametrize("by", ["id", "payment_intent", "customer"])
    def test_finds_the_customer_by_any_id_of_the_provider(
        self, shop: World, payer: tuple[str, Any], capsys: pytest.CaptureFixture[str], by: str
    ) -> None:
        buyer, token = payer
        hear(shop, token["token"])
        session = shop.stripe.v1.checkout.sessions.retrieve(token["token"]).to_dict()

        code, found = told(capsys, "explain", session[by])

        assert (code, [one["customer_id"] for one in found["customers"]]) == (0, [buyer])

    def test_finds_the_customer_by_an_address(
        self, shop: World, payer: tuple[str, Any], capsys: pytest.CaptureFixture[str]
    ) -> None:
        code, found = told(capsys, "explain", f"{payer[0]}@example.com")

        assert (code, [one["customer_id"] for one in found["customers"]]) == (0, [payer[0]])

    def test_says_that_there_is_nothing(self, shop: World, capsys: pytest.CaptureFixture[str]) -> None:
        assert said(capsys, "explain", "pi_nobodys") == (
            1,
            "",
            "paidup: Nothing here or at the providers has this id.\n",
        )


class TestSync:
    def test_grants_what_no_webhook_told_of_the_customer_with_an_address(
        self, shop: World, payer: tuple[str, Any], capsys: pytest.CaptureFixture[str]
    ) -> None:
        buyer, token = payer

        code, found = told(capsys, "sync", "--email", f"{buyer}@example.com")

        assert code == 0
        assert [(one["customer_id"], one["granted"]) for one in found] == [(buyer, [token["checkout_id"]])]
        assert [one["status"] for one in shop.account(customer=buyer)["purchases"]] == ["active"]

    def test_says_that_nobody_has_the_address(self, shop: World, capsys: pytest.CaptureFixture[str]) -> None:
        code, out, err = said(capsys, "sync", "--email", "nobody@example.com")

        assert (code, out) == (1, "")
        assert err.startswith("paidup: Nobody was found.")


class TestAFailedEvent:
    def test_is_listed_with_its_traceback(self, shop: World, failed: str, capsys: pytest.CaptureFixture[str]) -> None:
        code, listed = told(capsys, "events", "--failed")
        _, whole, _ = said(capsys, "events", failed)

        (one,) = [row for row in listed if row["event_id"] == failed]
        assert code == 0
        assert one["status"] == "failed"
        assert "InternalServerError" in one["error"]
        assert "Traceback" in whole

    def test_is_named_by_a_dry_run_and_stays(
        self, shop: World, failed: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        code, listed = told(capsys, "replay", "--failed", "--dry-run")

        assert code == 0
        assert failed in [one["event_id"] for one in listed]
        assert failed in [one["event_id"] for one in told(capsys, "events", "--failed")[1]]

    @pytest.mark.parametrize("all_of_them", [True, False])
    def test_is_replayed_and_gone(
        self,
        shop: World,
        payer: tuple[str, Any],
        failed: str,
        capsys: pytest.CaptureFixture[str],
        all_of_them: bool,
    ) -> None:
        which = "--failed" if all_of_them else failed

        code, replayed = told(capsys, "replay", which, "--reason", "the table is well")

        assert code == 0
        assert "settled" in [one["status"] for one in replayed if one["event_id"] == failed]
        assert failed not in [one["event_id"] for one in told(capsys, "events", "--failed")[1]]
        assert [one["status"] for one in shop.account(customer=payer[0])["purchases"]] == ["active"]

    def test_needs_a_reason(self, shop: World, failed: str, capsys: pytest.CaptureFixture[str]) -> None:
        code, _, err = said(capsys, "replay", failed)

        assert code == 2
        assert "Say why by --reason." in err


def test_an_event_that_nobody_has_is_said_in_one_sentence(shop: World, capsys: pytest.CaptureFixture[str]) -> None:
    shown, _, about_shown = said(capsys, "events", "evt_nobodys")
    replayed, _, about_replayed = said(capsys, "replay", "evt_nobodys", "--reason", "try")

    assert (shown, replayed) == (1, 1)
    assert about_shown.startswith("paidup: The log has no event evt_nobodys.")
    assert about_replayed == "paidup: Neither the log nor stripe has an event evt_nobodys.\n"


def test_cases_are_listed_until_somebody_decides(
    shop: World, payer: tuple[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    buyer, token = payer
    (event,) = [one for one in shop.events() if about(one, token["token"])]
    event["data"]["object"] |= {"amount_subtotal": 1, "amount_total": 1}
    shop.deliver(event)
    shop.work_queue()

    code, (case,) = told(capsys, "cases", "--customer", buyer)
    cli.main(["support", "grant", buyer, token["checkout_id"], "--reason", "a voucher", "--stack", "shop"])

    assert (code, case["reason"], case["purchase_id"]) == (0, "amount-mismatch", token["checkout_id"])
    assert said(capsys, "cases", "--customer", buyer) == (0, "No case is open.\n", "")


def test_support_moves_a_customer_of_a_deployed_stack(shop: World, capsys: pytest.CaptureFixture[str]) -> None:
    buyer, other = shop.customer(), shop.customer()
    shop.pay(shop.buy(customer=buyer).json["url"])
    shop.hear_everything()
    words = ["support", "move", buyer, other, "--reason", "signed up twice", "--stack", "shop"]
    capsys.readouterr()  # what the functions measured until now

    codes = (cli.main(words), cli.main([*words, "--json"]))

    told, again = capsys.readouterr().out.split("\n", 1)
    assert codes == (0, 0)
    assert told == f"1 purchases, 1 checkouts and 0 bookings moved from {buyer} to {other}."
    assert json.loads(again)["writes"] == 0
    assert [one["status"] for one in shop.account(customer=other)["purchases"]] == ["active"]


def test_support_says_why_it_moves_nobody(shop: World, capsys: pytest.CaptureFixture[str]) -> None:
    nobody = shop.customer()

    code = cli.main(["support", "move", nobody, "eve", "--reason", "twice", "--stack", "shop"])

    assert code == 1
    assert nobody in capsys.readouterr().err


def test_support_decides_about_a_payment_of_a_deployed_stack(shop: World, capsys: pytest.CaptureFixture[str]) -> None:
    buyer = shop.customer()
    bought = shop.buy(customer=buyer).json
    shop.pay(bought["url"])
    shop.hear_everything()
    capsys.readouterr()  # what the functions measured until now

    code = cli.main(["support", "refund", buyer, bought["checkout_id"], "--reason", "ill", "--stack", "shop", "--json"])

    decided = json.loads(capsys.readouterr().out)
    assert code == 0
    assert decided["before"] == {"status": "active", "paid": 12_000, "refunded": 0, "currency": "eur"}
    assert decided["after"]["status"] in ("refunding", "refunded")
    assert cli.main(["attention", "--stack", "shop"]) == 0
    assert capsys.readouterr().out == "Nothing waits for a person.\n"


# ---------------------------------------------------------------- verifying


class TestVerify:
    @pytest.fixture
    def untold_buyer(self, shop: World) -> str:
        """A customer who has paid, and nobody was told."""
        buyer = shop.customer()
        shop.pay(shop.buy(customer=buyer).json["url"])
        shop.pass_time(60)
        return buyer

    def test_lists_what_differs_and_fails(self, untold_buyer: str, capsys: pytest.CaptureFixture[str]) -> None:
        code = cli.main(["verify", "--stack", "shop", "--json"])

        told = json.loads(capsys.readouterr().out)
        assert code == 1
        assert (untold_buyer, "missing-purchase") in {(one["customer_id"], one["drift"]) for one in told["differences"]}

    def test_mends_nothing_unless_that_is_agreed_to(
        self, shop: World, untold_buyer: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))

        code = cli.main(["verify", "--customer", untold_buyer, "--repair", "--stack", "shop"])

        said = capsys.readouterr()
        assert code == 1
        assert said.out.split("\t")[0] == untold_buyer
        assert "Mend 1 differences of 1 customers?" in said.err
        assert "Nothing was mended." in said.err
        assert shop.account(customer=untold_buyer)["access"] == []

    def test_mends_and_then_finds_nothing(
        self, shop: World, untold_buyer: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        code = cli.main(["verify", "--customer", untold_buyer, "--repair", "--yes", "--stack", "shop", "--json"])

        told = json.loads(capsys.readouterr().out)
        assert (code, told) == (0, {"customers": 1, "mended": 1, "differences": [], "problems": []})
        assert len(shop.account(customer=untold_buyer)["access"]) == 1
        assert cli.main(["verify", "--customer", untold_buyer, "--stack", "shop"]) == 0
        assert capsys.readouterr().out == "1 customers, no difference.\n"
