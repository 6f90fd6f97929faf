"""`make soak`: live many lives at once, and say how many, how long, and with what seed they can be lived again."""

import argparse
import logging
import os
import secrets
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed

from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis import seed as seeded
from hypothesis.stateful import run_state_machine_as_test

from tools.soak.day import drawn
from tools.soak.life import Life, LifeOnCredit

PORTION = 500
STEPS = 30


def live(seed: int, lives: int) -> tuple[int, Counter[str]]:
    """Live *lives* sequences of up to 30 steps, alternately with refunds and with credit; return how many, and in how
    many of them something worth meeting was met. Raises at the first fault.
    """
    logging.disable(logging.CRITICAL)
    time.sleep = lambda _: None  # one customer in one process has nobody to wait for
    secrets.token_hex = drawn
    kind = Life if seed % 2 else LifeOnCredit
    kind.met.clear()
    ordinary = settings(
        max_examples=lives,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        derandomize=False,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.normal,
    )
    run_state_machine_as_test(seeded(seed)(kind), settings=ordinary)
    return lives, kind.met


def main() -> None:
    """Spread the lives over the processors, and print how far they are."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--sequences", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=None, help="live the same lives again")
    given = parser.parse_args()
    first = given.seed if given.seed is not None else secrets.randbelow(10**9)
    portions = [min(PORTION, given.sequences - done) for done in range(0, given.sequences, PORTION)]
    began, lived, met = time.monotonic(), 0, Counter[str]()
    print(f"{given.sequences:,} lives of up to {STEPS} steps each, seed {first}", flush=True)
    with ProcessPoolExecutor(os.process_cpu_count()) as pool:
        running = [pool.submit(live, first + n, portion) for n, portion in enumerate(portions)]
        for done in as_completed(running):
            lives, meetings = done.result()
            lived, met = lived + lives, met + meetings
            if lived % 5_000 < PORTION:
                print(f"{lived:>9,} lived, {time.monotonic() - began:6.0f} s", flush=True)
    for what, lives in met.most_common():
        print(f"{1_000 * lives / lived:>9,.0f} of 1,000 met: {what}")
    print(f"{lived:,} lives, nobody stuck, no money lost: {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
