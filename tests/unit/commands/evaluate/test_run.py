"""What a report says of the pack that it is about."""

from __future__ import annotations

from agegender.commands.evaluate.run import is_fitted_to
from agegender.shared.models import load_manifest


def test_a_pack_knows_the_labels_that_it_was_fitted_to() -> None:
    for pack in load_manifest().packs.values():
        for one in (*pack.head.fitted_on, *pack.calibration.fitted_on):
            assert is_fitted_to(pack, one.labels_sha256)
        assert not is_fitted_to(pack, "0" * 64)
