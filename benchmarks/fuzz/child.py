"""`python -m benchmarks.fuzz.child TARGET [libFuzzer's options]`: fuzzes in this process, which may well not live.

Coverage guides it through what is written in Python: the reading of headers. In the C code of OpenCV and
FFmpeg it goes by chance, from the seeds.
"""

from __future__ import annotations

import sys

import atheris

_GUIDED = [
    "imagesize",
    "agegender.shared.images.sizes",
    "agegender.shared.images.pictures",
    "agegender.services.ingest.sources.video_file",
]


def main() -> None:
    """Does not return: libFuzzer ends the process."""
    with atheris.instrument_imports(include=_GUIDED):
        from benchmarks.fuzz.targets import CANARIES, TARGETS
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, {**TARGETS, **CANARIES}[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
