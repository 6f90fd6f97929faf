"""Whether requests kept to the read budget, tested on literals."""

from paidup.model.bucket import MONTH_S, Limits

from tools.soak.pace import Asked, too_many

NOW = 1_795_251_600
LIMITS = Limits(per_second=20, for_polls=10, per_sale=500, least_a_month=10_000)


def asked(requests: int, application: str = "reconciler", *, at: int = NOW) -> Asked:
    return Asked(at=at, application=application, requests=requests)


def test_a_second_holds_as_many_requests_as_the_budget_and_not_one_more() -> None:
    assert too_many([asked(10), asked(6, "poll"), asked(4, "sync")], [], LIMITS) == []

    (breach,) = too_many([asked(10), asked(6, "poll"), asked(5, "sync")], [], LIMITS)

    assert breach == f"21 requests in the second {NOW}: 20 are allowed"


def test_the_next_second_has_a_budget_of_its_own() -> None:
    assert too_many([asked(20), asked(20, at=NOW + 1)], [], LIMITS) == []


def test_those_who_buy_and_webhooks_ask_beside_the_budget() -> None:
    assert too_many([asked(20), asked(50, "buy"), asked(50, "webhook"), asked(50, "")], [], LIMITS) == []


def of_the_month(requests: int, *, share: int = 20) -> list[Asked]:
    """So many requests of the reconciler, as fast as a second allows."""
    return [asked(share, at=NOW + n) for n in range(requests // share)]


def test_those_for_whom_nobody_waits_are_three_days_ahead_of_the_month_at_most() -> None:
    three_days = of_the_month(1_000)

    assert too_many(three_days, [], LIMITS) == []
    (breach,) = too_many([*three_days, asked(1, at=NOW + 60)], [], LIMITS)
    assert breach == f"reconciler at {NOW + 60}: request 1001 of the month, which allows 1000 by then"


def test_the_sweep_leaves_a_fifth_and_people_are_answered_all_the_same() -> None:
    most = of_the_month(800)

    assert too_many([*most, asked(1, "poll", at=NOW + 60)], [], LIMITS) == []
    assert len(too_many([*most, asked(1, "sweep", at=NOW + 60)], [], LIMITS)) == 1


def test_what_was_sold_by_then_allows_more() -> None:
    above = [*of_the_month(1_000), asked(1, at=NOW + 60)]

    assert too_many(above, [NOW + 60] * 21, LIMITS) == []
    assert len(too_many(above, [NOW + 61] * 21, LIMITS)) == 1


def test_a_new_month_begins_after_thirty_days() -> None:
    assert too_many([*of_the_month(1_000), asked(1, at=NOW + MONTH_S)], [], LIMITS) == []
