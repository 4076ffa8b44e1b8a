"""The version of OpenCV that is really there."""

from __future__ import annotations

import cv2

from agegender.shared.errors import AgeGenderError

OLDEST = 5


def check_opencv(version: str | None = None) -> None:
    """Raises AgeGenderError for an OpenCV that is too old.

    The packages of OpenCV share one folder. `opencv-python` 4, which other packages install, overwrites the
    files of `opencv-python-headless` 5, and pip does not notice.

    Args:
        version: such as `5.0.0`; None: that of the imported module.
    """
    found = str(getattr(cv2, "__version__", "unknown")) if version is None else version
    major = found.split(".")[0]
    if not major.isdecimal() or int(major) < OLDEST:
        raise AgeGenderError(
            f"expected OpenCV {OLDEST} or newer, got {found}, which another package has installed over it: "
            "run `pip uninstall -y opencv-python opencv-contrib-python opencv-python-headless`, then "
            "`pip install -r requirements/lean.txt`"
        )
