"""The small inputs that once failed. They lie beside the checkout, where the project is developed."""

from __future__ import annotations

from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]


def shared_case(name: str) -> Path:
    """The file or folder of this name in `../shared/cases`; without that folder the test is skipped."""
    found = [folder / "shared" / "cases" for folder in _ROOT.parents]
    cases = next((folder for folder in found if folder.is_dir()), None)
    if cases is None:
        pytest.skip("there is no folder shared/cases beside the checkout")
    return cases / name
