"""`make chaos`: kills, stops and starves every part of the pipeline under load, then looks for damage.

Seven processes, three brokers and two Redis of its own, two simulated cameras with two people each. A seed
decides the faults and their times; without one, a new seed is drawn. The run fails if a published face is
lost or doubled, if a person is counted twice, not at all or with the wrong gender, if detect looks at a frame
over the deadline, or if `agegender audit` finds a difference.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from benchmarks.chaos.brokers import one_broker, three_brokers
from benchmarks.chaos.plan import plan
from benchmarks.chaos.run import run
from benchmarks.chaos.world import REDIS_SETTINGS
from tests.support.redis_pair import RedisPair
from tests.support.redis_server import find_redis_server


def main() -> int:
    """Runs, prints, and says by its exit status whether nothing is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, help="repeats the plan of an earlier run")
    parser.add_argument("--brokers", type=int, choices=(1, 3), default=3, help="each is killed in turn")
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(1_000_000) if given.seed is None else given.seed
    console, began_s = Console(), time.monotonic()
    again = f"Seed {seed}; to repeat: make chaos ROUNDS={given.rounds} SEED={seed}"
    console.print(again, highlight=False)
    folder = Path(tempfile.mkdtemp(prefix="agegender-chaos-"))
    is_clean = False
    try:
        with ExitStack() as stack:
            redis = stack.enter_context(RedisPair(find_redis_server("valkey"), REDIS_SETTINGS))
            kafka = stack.enter_context(three_brokers() if given.brokers == 3 else one_broker())
            outcome = run(plan(seed, given.rounds), kafka, redis, folder, console)
            is_clean = outcome.verdict.is_clean
            console.print(outcome.report.draw(), outcome.table(), highlight=False)
            for sentence in outcome.verdict.sentences():
                console.print(sentence, style="red bold", highlight=False)
    finally:
        if is_clean:
            shutil.rmtree(folder)
        else:
            console.print(f"The logs of the services are in {folder}", highlight=False)
        took_s = time.monotonic() - began_s
        console.print(f"{again} ({took_s:.0f} s, {'clean' if is_clean else 'NOT clean'})", highlight=False)
    return 0 if is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
