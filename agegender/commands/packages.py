"""What to install where a package is missing. Imports nothing but Python's own modules."""

from __future__ import annotations

import sys

REQUIRED = (
    *("ai_edge_litert", "av", "cv2", "imagesize", "numpy"),
    *("prometheus_client", "pydantic", "redis", "rich", "typer", "yaml"),
)
"""What every installation holds, by the names under which programs import it."""

_EXIT = 2


def end_for_missing(error: ModuleNotFoundError) -> None:
    """Ends the process with a sentence that says what to run; does nothing for other modules."""
    if (error.name or "").split(".")[0] in REQUIRED:
        sys.stderr.write(
            f"agegender: the package {error.name!r} is not installed: "
            "run `pip install -r requirements/lean.txt`\n"
        )
        sys.exit(_EXIT)
