"""`python -m benchmarks.fuzz.child TARGET [libFuzzer's options]`: fuzzes in this process.

The process may crash. Coverage guides the fuzzer through the Python code that reads headers. In the C code of
OpenCV and FFmpeg, it mutates the seeds at random.
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
