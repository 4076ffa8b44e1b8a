"""A picture of high dynamic range becomes the usual one that it shows."""

from __future__ import annotations

import numpy as np
import pytest

from agegender.shared.images.pictures import Bgr
from agegender.shared.images.tone_mapping import Transfer, tone_mapped
from tests.support.hdr import hdr_codes

TRANSFERS: tuple[Transfer, ...] = ("pq", "hlg")


def colours(highest: int) -> Bgr:
    """Colours of all brightness up to the highest level."""
    levels = np.linspace(0, highest, 9, dtype=np.uint8)
    return np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(27, 27, 3)


@pytest.mark.parametrize("transfer", TRANSFERS)
def test_colours_below_the_knee_are_those_of_the_usual_picture(transfer: Transfer) -> None:
    usual = colours(160)
    shown = tone_mapped(hdr_codes(usual, transfer), transfer)
    assert np.abs(shown.astype(int) - usual).max() <= 6
    assert np.abs(shown.astype(int) - usual).mean() < 1.5


@pytest.mark.parametrize("transfer", TRANSFERS)
def test_brighter_light_is_compressed_and_never_darker(transfer: Transfer) -> None:
    grey = np.full((1, 1, 3), 255, np.uint8)
    bright = [203.0, 300.0, 500.0, 800.0, 1_000.0]
    shown = [int(tone_mapped(hdr_codes(grey, transfer, light), transfer)[0, 0, 0]) for light in bright]
    assert shown == sorted(shown)
    assert 220 < shown[0] < 240 < shown[2]
    assert shown[-1] >= 254


@pytest.mark.parametrize("transfer", TRANSFERS)
def test_every_code_gives_a_level(transfer: Transfer) -> None:
    codes = np.arange(65_536, dtype=np.uint16).reshape(256, 256)
    shown = tone_mapped(np.stack([codes] * 3, axis=-1), transfer)
    levels = shown[:, :, 0].astype(int).ravel()
    assert levels[0] == 0
    assert levels[-1] == 255
    assert (np.diff(levels) >= 0).all()
    assert np.abs(np.ptp(shown.astype(int), axis=-1)).max() <= 1, "grey stays grey"
