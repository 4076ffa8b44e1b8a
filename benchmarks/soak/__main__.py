"""`make soak`: the services under a steady load for as long as told, and what grows meanwhile.

Five processes, a broker and a Redis of its own, three simulated cameras with real faces and one that is not
there; a client asks the API all the time. With `--overload 1.5`, the cameras send one and a half times what
detect can do, and the delay must not grow. Memory, open files, threads and delays are drawn as a picture. It
fails if one of them grows beyond its limit, a process ends, the API fails to answer, or `agegender audit`
finds a difference. Needs Linux.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from benchmarks.soak.picture import drawn
from benchmarks.soak.processes import can_be_watched
from benchmarks.soak.run import run
from tests.support.kafka_broker import launch_broker
from tests.support.redis_server import RedisServer, find_redis_server


def main() -> int:
    """Runs, prints, and says by its exit status whether nothing grows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument(
        "--overload",
        type=float,
        default=1.0,
        help="take so much CPU away from detect that the load is this many times what it can do",
    )
    parser.add_argument("--out", type=Path, default=Path("build/soak.svg"), help="where the picture goes")
    given = parser.parse_args()
    if not can_be_watched():
        parser.error("this system has no /proc, which tells memory, files and threads: run it on Linux")
    console = Console()
    folder = Path(tempfile.mkdtemp(prefix="agegender-soak-"))
    is_clean = False
    broker = launch_broker(must_restart=True)
    try:
        redis = RedisServer(find_redis_server("valkey"))
        try:
            redis.start()
            outcome = run(
                given.minutes * 60,
                broker.bootstrap_servers,
                redis.url,
                folder,
                console,
                overload=given.overload,
            )
        finally:
            redis.close()
        is_clean = outcome.verdict.is_clean
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(drawn(outcome.verdict))
        console.print(outcome.report.draw(), outcome.verdict.draw(), highlight=False)
        for sentence in outcome.verdict.sentences:
            console.print(sentence, style="red bold", highlight=False)
        console.print(f"{given.out}: {'nothing grows' if is_clean else 'NOT clean'}", highlight=False)
    finally:
        broker.close()
        if is_clean:
            shutil.rmtree(folder)
        else:
            console.print(f"The logs of the services are in {folder}", highlight=False)
    return 0 if is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
