"""`make soak`: live many lives at once, and say how many, how long, and with what seed they can be lived again.

A life depends on the order of sets, too: with the same seed, and with PYTHONHASHSEED=0, the same lives are lived again.
"""

import argparse
import logging
import multiprocessing
import os
import secrets
import time
from collections import Counter

from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis import seed as seeded
from hypothesis.stateful import run_state_machine_as_test

from tools.soak.clock import Crash, drawn
from tools.soak.state_machine import StateMachine, StateMachineOnCredit

PORTION = 500
STEPS = 30


class Fell(Exception):
    """Among the lives of the portion *seed* one came to what must not be."""

    def __init__(self, seed: int, lives: int) -> None:
        """Name the portion, by its *seed* and how many *lives* it has."""
        super().__init__(seed, lives)
        self.seed, self.lives = seed, lives


def live(seed: int, lives: int, *, shrinks: bool = False) -> tuple[int, Counter[str]]:
    """Live *lives* sequences of up to 30 steps, alternately with refunds and with credit; return how many, and in how
    many of them something worth meeting was met. Raises Fell from the first fault; where it *shrinks*, from the
    shortest life that shows it.
    """
    logging.disable(logging.CRITICAL)
    os.environ["POWERTOOLS_METRICS_DISABLED"] = "true"
    time.sleep = lambda _: None  # one customer in one process has nobody to wait for
    secrets.token_hex = drawn
    kind = StateMachine if seed % 2 else StateMachineOnCredit
    kind.met.clear()
    ordinary = settings(
        max_examples=lives,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        derandomize=False,
        phases=(Phase.generate, Phase.shrink) if shrinks else (Phase.generate,),
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.normal,
        report_multiple_bugs=False,
    )
    try:
        run_state_machine_as_test(seeded(seed)(kind), settings=ordinary)
    except (Exception, Crash) as fault:
        raise Fell(seed, lives) from fault
    return lives, kind.met


def main() -> None:
    """Spread the lives over the processors, print how far they are, and end at the first that falls."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--sequences", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=None, help="live the same lives again")
    given = parser.parse_args()
    first = given.seed if given.seed is not None else secrets.randbelow(10**9)
    sizes = [min(PORTION, given.sequences - done) for done in range(0, given.sequences, PORTION)]
    portions = [(first + n, size, len(sizes) == 1) for n, size in enumerate(sizes)]
    began, lived, met = time.monotonic(), 0, Counter[str]()
    print(f"{given.sequences:,} lives of up to {STEPS} steps each, seed {first}", flush=True)
    with multiprocessing.Pool(os.process_cpu_count()) as pool:  # leaving it ends whoever still lives
        try:
            for lives, meetings in pool.imap_unordered(_portion, portions):
                lived, met = lived + lives, met + meetings
                if lived % 5_000 < PORTION:
                    print(f"{lived:>9,} lived, {time.monotonic() - began:6.0f} s", flush=True)
        except Fell as fell:
            print(fell.__cause__)  # with the steps that led there
            again = f"; see it shrunk: make soak SEED={fell.seed} SEQUENCES={fell.lives}"
            raise SystemExit(f"A life of seed {fell.seed} fell" + ("" if len(sizes) == 1 else again)) from None
    for what, lives in met.most_common():
        print(f"{1_000 * lives / lived:>9,.0f} of 1,000 met: {what}")
    print(f"{lived:,} lives, nobody stuck, no money lost: {time.monotonic() - began:.0f} s")


def _portion(portion: tuple[int, int, bool]) -> tuple[int, Counter[str]]:
    seed, lives, shrinks = portion
    return live(seed, lives, shrinks=shrinks)


if __name__ == "__main__":
    main()
