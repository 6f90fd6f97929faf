"""Billing claims: what a token says, and that it ends before anything in it does."""

from hypothesis import given
from hypothesis import strategies as st
from paidup.model.access import Access, PurchaseStatus
from paidup.model.claims import LEAST_S, LIFETIME_S, BillingClaims, billing_claims, to_json
from paidup.model.offer import Kind

NOW = 1_790_000_000
ROOM = 3_000


def access(until: int | None, offer_id: str = "day_pass", quantity: int = 1) -> Access:
    return Access(
        purchase_id="co_1",
        offer_id=offer_id,
        kind=Kind.PASS,
        status=PurchaseStatus.ACTIVE,
        quantity=quantity,
        until=until,
    )


def claimed(*granted: Access, room: int = ROOM, cut: bool = False) -> BillingClaims:
    return billing_claims(granted, version=7, cut=cut, room=room, now=NOW)


def ends(claims: BillingClaims) -> list[int | None]:
    return [one.until for one in claims.access]


def test_a_token_lives_fifteen_minutes_if_nothing_ends_before() -> None:
    assert claimed(access(None), access(NOW + 901, "pass")).expires_at == NOW + 900


def test_a_token_ends_with_its_first_access() -> None:
    assert claimed(access(None), access(NOW + 61, "pass")).expires_at == NOW + 61


def test_what_ends_within_a_minute_is_left_out_if_something_lasts_longer() -> None:
    claims = claimed(access(NOW + 59, "pass"), access(NOW + 60, "other"), access(None))

    assert ends(claims) == [None, NOW + 60]
    assert claims.truncated
    assert claims.expires_at == NOW + 60


def test_what_ends_within_a_minute_stays_if_nothing_lasts_longer() -> None:
    claims = claimed(access(NOW + 10, "pass"), access(NOW + 50, "other"))

    assert ends(claims) == [NOW + 50]
    assert (claims.expires_at, claims.truncated) == (NOW + 50, True)


def test_what_has_ended_is_no_claim_and_no_reason_to_look_again() -> None:
    claims = claimed(access(NOW), access(NOW - 5, "pass"))

    assert (claims.access, claims.truncated, claims.expires_at) == ((), False, NOW + 900)


def test_what_is_alike_is_added_up() -> None:
    (one,) = claimed(access(NOW + 500, quantity=2), access(NOW + 500), access(NOW + 500)).access

    assert one.quantity == 4


def test_without_room_for_all_the_longest_of_each_offer_come_first() -> None:
    granted = [access(NOW + 1_000 + n, offer_id) for offer_id in ("a", "b", "c") for n in (1, 3, 2)]

    found = [(one.offer_id, one.until) for one in claimed(*granted, room=400).access]

    assert found[:3] == [(offer_id, NOW + 1_003) for offer_id in ("a", "b", "c")]
    assert len(found) < len(granted)


def test_an_account_that_lists_not_all_makes_a_token_that_lists_not_all() -> None:
    assert claimed(access(None), cut=True).truncated


ANY = st.lists(
    st.builds(
        access,
        st.none() | st.integers(NOW - 100, NOW + 2_000),
        st.text("aü\U0001f600", min_size=1, max_size=40),
        st.integers(1, 10_000),
    ),
    max_size=60,
)


@given(ANY, st.integers(100, ROOM))
def test_no_token_outlives_what_it_grants_ends_at_once_because_of_one_or_is_too_large(
    granted: list[Access], room: int
) -> None:
    claims = claimed(*granted, room=room)

    assert all(one.until is None or claims.expires_at <= one.until for one in claims.access)
    assert NOW < claims.expires_at <= NOW + LIFETIME_S
    last = max((NOW + LIFETIME_S if one.until is None else one.until for one in granted), default=NOW)
    assert claims.expires_at >= min(NOW + LEAST_S, last)
    assert len(to_json(claims.plain)) <= room
    total = sum(one.quantity for one in granted if one.holds(now=NOW))
    assert claims.truncated is (sum(one.quantity for one in claims.access) < total)
