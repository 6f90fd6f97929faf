"""Collection that is paused: Stripe calls the subscription active, and nobody pays for its periods."""

import pytest

from tests.functions.merchant import DAY, GRACE, PLAN, change
from tests.functions.story import DECLINED_LATER, Story

BEHAVIOURS = ["void", "keep_as_draft", "mark_uncollectible"]
every_behaviour = pytest.mark.parametrize("behaviour", BEHAVIOURS)


def pause(story: Story, behaviour: str = "void", **more: int) -> None:
    """Pause the collection of the buyer's subscription."""
    fields = {f"pause_collection[{name}]": value for name, value in {"behavior": behaviour, **more}.items()}
    story.post(f"subscriptions/{story.plan()['id']}", **fields)


def resume(story: Story) -> None:
    """Collect again."""
    story.post(f"subscriptions/{story.plan()['id']}", pause_collection="")


def is_at(story: Story, second: int) -> None:
    """Let time pass until *second*."""
    story.world.pass_time(second - story.world.now())


@pytest.fixture
def end(story: Story) -> int:
    """When the month ends that was paid."""
    story.buys("monthly")
    story.hear()
    end = story.period_end()
    story.world.pass_time(DAY)
    return end


class TestPausedCollection:
    @every_behaviour
    def test_leaves_the_month_that_was_paid(self, story: Story, end: int, behaviour: str) -> None:
        pause(story, behaviour)
        story.hear()

        assert story.access == {"monthly": end}

    @every_behaviour
    def test_grants_nothing_beyond(self, story: Story, end: int, behaviour: str) -> None:
        pause(story, behaviour)
        story.hear()

        is_at(story, end + 2 * DAY)
        story.hear()

        assert story.plan()["status"] == "active"
        assert story.access == {}
        assert story.purchase["status"] == "paused"

    @every_behaviour
    def test_grants_nothing_three_months_later(self, story: Story, end: int, behaviour: str) -> None:
        pause(story, behaviour)
        seen = []
        for _ in range(4):
            story.hear()
            seen.append(set(story.access))
            story.world.pass_time(31 * DAY)

        assert seen == [{"monthly"}, set(), set(), set()]
        assert story.purchase["status"] == "paused"

    @pytest.mark.parametrize("behaviour", ["void", "mark_uncollectible"])
    def test_is_known_by_the_invoice_that_nobody_is_asked_for(self, story: Story, end: int, behaviour: str) -> None:
        pause(story, behaviour)
        story.news()
        is_at(story, end + 2 * DAY)

        story.hear({"void": "invoice.voided", "mark_uncollectible": "invoice.marked_uncollectible"}[behaviour])
        story.is_swept()

        assert story.access == {}
        assert story.purchase["status"] == "paused"

    def test_of_which_nobody_was_told_is_found_by_the_sweep(self, story: Story, end: int) -> None:
        pause(story)
        story.news()

        is_at(story, end + 3 * 3_600)
        story.world.sweep()

        assert story.access == {}
        assert story.purchase["status"] == "paused"

    def test_is_found_by_a_sync(self, story: Story, end: int) -> None:
        pause(story)
        story.news()
        story.world.pass_time(10)

        story.world.sync(customer=story.buyer)

        assert story.access == {"monthly": end}

    def test_in_a_grace_ends_it(self, story: Story) -> None:
        story.buys("monthly", DECLINED_LATER)
        story.hear()
        due = story.period_end()
        is_at(story, due + DAY)
        story.hear()
        assert story.access == {"monthly": due + GRACE}

        pause(story)
        story.hear()

        assert story.access == {}
        assert story.purchase["status"] == "paused"


class TestCollectionThatIsResumed:
    @every_behaviour
    def test_within_the_month_goes_on(self, story: Story, end: int, behaviour: str) -> None:
        pause(story, behaviour)
        story.hear()
        story.world.pass_time(DAY)

        resume(story)
        story.hear(f"{PLAN}.updated")

        assert story.access == {"monthly": end + GRACE}
        assert story.purchase["status"] == "active"

    @every_behaviour
    def test_after_the_month_grants_nothing_until_it_is_paid(self, story: Story, end: int, behaviour: str) -> None:
        pause(story, behaviour)
        story.hear()
        is_at(story, end + 10 * DAY)
        story.hear()

        resume(story)
        story.hear()

        assert story.access == {}

    @every_behaviour
    def test_comes_back_with_the_next_month_that_is_paid(self, story: Story, end: int, behaviour: str) -> None:
        pause(story, behaviour)
        story.hear()
        is_at(story, end + 10 * DAY)
        resume(story)
        story.hear()

        is_at(story, story.period_end() + 2 * 3_600)
        story.hear()

        assert story.purchase["status"] == "active"
        assert story.access == {"monthly": story.period_end() + GRACE}

    def test_comes_back_by_the_sweep_if_nobody_tells(self, story: Story, end: int) -> None:
        pause(story)
        story.hear()
        is_at(story, end + 10 * DAY)
        resume(story)
        story.hear()

        is_at(story, story.period_end() + 3 * 3_600)
        story.news()
        story.world.sweep()

        assert story.access == {"monthly": story.period_end() + GRACE}

    def test_comes_back_with_the_draft_that_was_kept_and_is_paid_now(self, story: Story, end: int) -> None:
        pause(story, "keep_as_draft")
        story.hear()
        is_at(story, end + 10 * DAY)
        story.hear()

        resume(story)
        story.post(f"invoices/{story.plan()['latest_invoice']}/pay")
        story.hear()

        assert story.purchase["status"] == "active"
        assert story.access == {"monthly": story.period_end() + GRACE}

    def test_resumes_by_itself_when_the_merchant_said_so(self, story: Story, end: int) -> None:
        pause(story, resumes_at=end + 40 * DAY)
        story.hear()
        is_at(story, end + 41 * DAY)
        story.hear()
        assert story.access == {}

        is_at(story, story.period_end() + 2 * 3_600)
        story.hear()

        assert story.access == {"monthly": story.period_end() + GRACE}


class TestAShopThatMeansItAsAGift:
    @pytest.fixture(autouse=True)
    def keeps(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PAIDUP_PAUSED_COLLECTION", "keep")

    @every_behaviour
    def test_grants_what_nobody_pays_for(self, story: Story, end: int, behaviour: str) -> None:
        pause(story, behaviour)
        seen = []
        for _ in range(3):
            story.hear()
            seen.append(set(story.access))
            story.world.pass_time(31 * DAY)

        assert seen == [{"monthly"}] * 3
        assert story.purchase["status"] == "active"

    def test_ends_it_with_the_subscription(self, story: Story, end: int) -> None:
        pause(story)
        is_at(story, end + 2 * DAY)
        story.hear()

        story.cancel()
        story.hear()

        assert story.access == {}

    @pytest.fixture
    def given_until(self, story: Story, end: int) -> int:
        """When the month ends that was given in part: collection was resumed ten days after its beginning."""
        pause(story)
        story.hear()
        is_at(story, end + 10 * DAY)
        story.hear()
        resume(story)
        story.hear()
        return story.period_end()

    @every_behaviour
    def test_keeps_the_month_that_was_given_if_it_collects_again(self, story: Story, end: int, behaviour: str) -> None:
        pause(story, behaviour)
        is_at(story, end + 10 * DAY)
        story.hear()

        resume(story)
        story.hear()

        assert story.access == {"monthly": story.period_end()}
        assert story.purchase["status"] == "active"

    def test_goes_on_with_the_next_month_that_is_paid(self, story: Story, given_until: int) -> None:
        is_at(story, given_until + 2 * 3_600)
        story.hear()

        assert story.access == {"monthly": story.period_end() + GRACE}

    def test_gives_no_grace_after_the_month_that_was_given(self, story: Story, given_until: int) -> None:
        pause(story)
        story.hear()
        resume(story)
        story.hear()
        is_at(story, given_until + 60)

        assert story.access == {}

    def test_gives_only_what_was_there_while_nobody_paid(self, story: Story, given_until: int) -> None:
        change(story, quantity=3, payment_behavior="allow_incomplete", proration_behavior="none")
        story.hear()

        assert story.access == {"monthly": given_until}
        assert [one["quantity"] for one in story.account["access"]] == [1]
