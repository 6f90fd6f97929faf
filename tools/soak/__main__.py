"""`make soak`: live many lives at once, and say how many, how long, and with what seed they can be lived again."""

import argparse
import logging
import os
import secrets
import time
from concurrent.futures import ProcessPoolExecutor, as_completed

from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis import seed as seeded
from hypothesis.stateful import run_state_machine_as_test

from tools.soak.life import Life, LifeOnCredit

PORTION = 500
STEPS = 30


def live(seed: int, lives: int) -> int:
    """Live *lives* sequences of up to 30 steps, alternately with refunds and with credit; raises at the first fault."""
    logging.disable(logging.CRITICAL)
    time.sleep = lambda _: None  # one customer in one process has nobody to wait for
    machine = seeded(seed)(Life if seed % 2 else LifeOnCredit)
    ordinary = settings(
        max_examples=lives,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        derandomize=False,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )
    run_state_machine_as_test(machine, settings=ordinary)
    return lives


def main() -> None:
    """Spread the lives over the processors, and print how far they are."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--sequences", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=None, help="live the same lives again")
    given = parser.parse_args()
    first = given.seed if given.seed is not None else secrets.randbelow(10**9)
    portions = [min(PORTION, given.sequences - done) for done in range(0, given.sequences, PORTION)]
    began, lived = time.monotonic(), 0
    print(f"{given.sequences:,} lives of up to {STEPS} steps each, seed {first}", flush=True)
    with ProcessPoolExecutor(os.process_cpu_count()) as pool:
        running = [pool.submit(live, first + n, portion) for n, portion in enumerate(portions)]
        for done in as_completed(running):
            lived += done.result()
            if lived % 5_000 < PORTION:
                print(f"{lived:>9,} lived, {time.monotonic() - began:6.0f} s", flush=True)
    print(f"{lived:,} lives, nobody stuck, no money lost: {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
