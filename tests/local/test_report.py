"""`paidup report`: the arithmetic on literals, the picture, and the command of a deployed stack."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.functions.story import Story
from tests.handlers import Context, invoke, sample
from tests.world import World
from tools import cli
from tools.report.figures import Payment, Records, duration, figures, percentile
from tools.report.picture import AXIS_X, BAR_W, picture

NOW = 2_000_000
DAY = 86_400
SVG = "{http://www.w3.org/2000/svg}"


def paid(purchase: str, channel: str = "webhook", *, after: int = 2, at: int = NOW - DAY) -> Payment:
    return Payment(purchase_id=purchase, channel=channel, paid_at=at, settled_at=at + after)


def of(*payments: Payment) -> Records:
    return Records(payments=list(payments))


def drawn(records: Records) -> ElementTree.Element:
    return parsed(picture(figures(records, since=0, until=NOW)))


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)  # noqa: S314 - of our own making


class TestFigures:
    def test_percentiles_are_values_that_somebody_waited(self) -> None:
        hundred = range(1, 101)

        assert [percentile(hundred, at) for at in (50, 95, 99)] == [50, 95, 99]
        assert [percentile([3], at) for at in (50, 95, 99)] == [3, 3, 3]
        assert percentile([1, 2, 400], 95) == 400
        assert percentile([], 50) is None

    def test_waits_are_told_by_channel_and_in_all(self) -> None:
        found = figures(of(paid("1"), paid("2", after=4), paid("3", "sweep", after=130)), since=0, until=NOW)

        assert [(one.channel, one.purchases, one.p50_s, one.longest_s) for one in (*found.channels, found.total)] == [
            ("webhook", 2, 2, 4),
            ("sweep", 1, 130, 130),
            ("all", 3, 4, 130),
        ]

    def test_a_renewal_is_no_purchase_even_if_the_first_payment_is_older(self) -> None:
        old = paid("1", at=NOW - 40 * DAY)

        assert figures(of(old, paid("1")), since=NOW - 30 * DAY, until=NOW).total.purchases == 0
        assert figures(of(old, paid("1")), since=NOW - 41 * DAY, until=NOW).total.purchases == 1

    def test_the_channel_that_settled_first_is_the_one_that_counts(self) -> None:
        found = figures(of(paid("1", "reconciler", after=300), paid("1", "poll", after=3)), since=0, until=NOW)

        assert [one.channel for one in found.channels] == ["poll"]

    def test_what_was_found_in_the_moment_of_the_payment_was_not_missed(self) -> None:
        late, soon, waited = paid("1", "sweep", after=61), paid("2", "sweep", after=60), paid("3", "poll", after=99)

        assert figures(of(late, soon, waited), since=0, until=NOW).missed == 1

    def test_a_clock_behind_the_providers_makes_no_negative_wait(self) -> None:
        assert figures(of(paid("1", after=-3)), since=0, until=NOW).total.longest_s == 0

    def test_webhook_success_is_what_was_settled_of_all(self) -> None:
        records = Records()
        records.events.update({"settled": 198, "ignored": 1, "failed": 1})

        assert figures(records, since=0, until=NOW).webhook_success == 99.5
        assert figures(Records(), since=0, until=NOW).webhook_success is None

    @pytest.mark.parametrize(
        ("seconds", "said"),
        [
            (None, ""),
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (125, "2 min 5 s"),
            (11_040, "3 h 4 min"),
            (97_200, "1 d 3 h"),
        ],
    )
    def test_durations_are_told_as_people_read_them(self, seconds: int | None, said: str) -> None:
        assert duration(seconds) == said


class TestThePicture:
    def test_has_a_bar_for_each_channel_as_long_as_its_share(self) -> None:
        svg = drawn(of(paid("1"), paid("2"), paid("3", "sweep")))

        bars = [int(one.attrib["width"]) for one in svg.iter(f"{SVG}rect") if one.get("rx") == "3"]
        assert bars == [BAR_W, BAR_W // 2]

    def test_puts_longer_waits_further_to_the_right(self) -> None:
        svg = drawn(of(paid("1", after=1), paid("2", "sweep", after=120)))

        slow, quick, *_ = (int(one.attrib["cx"]) for one in svg.iter(f"{SVG}circle"))
        assert AXIS_X == quick < slow

    def test_of_nothing_is_a_picture_too(self) -> None:
        texts = [one.text for one in drawn(Records()).iter()]

        assert "Purchases from 1970-01-01 to 1970-01-24" in texts


class TestTheCommand:
    @pytest.fixture
    def month(self, shop: World) -> World:
        """Three purchases by three channels, one of them refunded by support."""
        stories = [Story(shop, shop.customer()) for _ in range(3)]
        by_webhook, by_poll, by_sweep = stories
        by_webhook.buys("ten_class_pass")
        by_webhook.hear()
        by_poll.buys("day_pass")
        shop.pass_time(4)
        shop.status(by_poll.token["checkout_id"], customer=by_poll.buyer)
        by_sweep.buys("monthly")
        by_sweep.is_swept(130)
        refund = ["support", "refund", by_webhook.buyer, by_webhook.token["checkout_id"], "--reason", "ill"]
        assert cli.main([*refund, "--stack", "shop"]) == 0
        shop.pass_time(130)
        invoke("reconcile_payments", sample("reconcile_payments"), Context())
        return shop

    def test_says_who_told_how_long_it_took_and_what_people_did(
        self, month: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "month.svg"
        capsys.readouterr()

        code = cli.main(["report", "--days", "30", "--picture", str(file), "--stack", "shop", "--json"])

        told = json.loads(capsys.readouterr().out)
        assert code == 0
        waits = {one["channel"]: (one["purchases"], one["p50_s"]) for one in told["channels"]}
        assert waits == {"webhook": (1, 10), "poll": (1, 4), "sweep": (1, 130)}
        assert (told["total"]["purchases"], told["total"]["longest_s"], told["missed"]) == (3, 130, 1)
        assert (told["interventions"], told["cases_opened"]) == (1, 0)
        assert (told["webhook_success"], told["events"] > 0) == (100, True)
        assert parsed(file.read_text()).tag == f"{SVG}svg"

        assert cli.main(["report", "--stack", "shop"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[3] == "all\t3\t10 s\t2 min 10 s\t2 min 10 s\t2 min 10 s"
        assert re.fullmatch(r"Webhooks: (\d+) of \1 events settled \(100 %\)\.", lines[4])

    def test_says_where_it_cannot_draw(self, shop: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["report", "--picture", str(tmp_path / "no" / "x.svg"), "--stack", "shop"]) == 1

        assert "cannot be written: No such file or directory." in capsys.readouterr().err
