"""A day without a single webhook ends as the day with all of them, and nobody waits for more than six minutes.

`make day` lives a longer one, with 500 purchases.
"""

from tools.soak.day import LONGEST_WAIT_S, compared


def test_without_any_webhook_every_account_ends_the_same_and_nobody_waits_for_long() -> None:
    without, with_all = compared(purchases=10, hours=1, seed=1)

    assert without.accounts == with_all.accounts
    assert without.still_waiting == []
    assert {"payment", "renewal", "change", "cancellation", "refund"} == set(without.waited)
    assert without.longest_s <= LONGEST_WAIT_S
    assert without.problems == 0
    assert {channel for _, channel in without.channels} >= {"poll", "sweep", "reconciler"}
    assert {channel for (register, channel) in with_all.channels if register == "subscription"} == {"webhook"}
