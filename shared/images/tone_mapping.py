"""Pictures of high dynamic range on the scale of usual ones: what a person would see on a usual screen.

Transfer functions, colours and the display are those of ITU-R BT.2100-2. White of a usual picture is at
203 cd/m² (ITU-R BT.2408-7). Brighter light is compressed by the curve of ITU-R BT.2390-11, section 5.4.1.
"""

from __future__ import annotations

import functools
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Transfer = Literal["pq", "hlg"]

_PEAK_CD_M2 = 1000.0  # of the display that films and phones are made for; few files state another
_WHITE_CD_M2 = 203.0
_CODES = 4096  # as fine as any video has
_LUMA = np.array([[0.2627, 0.6780, 0.0593]], np.float32)  # of red, green and blue
_HLG_GAMMA = 1.2  # of a display with that peak

# From red, green, blue of BT.2020 to blue, green, red of BT.709 (ITU-R BT.2087-0).
_TO_BT709_BGR = np.array(
    [[-0.0182, -0.1006, 1.1187], [-0.1246, 1.1329, -0.0083], [1.6605, -0.5876, -0.0728]], np.float32
)

_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
_A, _B, _C = 0.17883277, 0.28466892, 0.55991073

Floats = NDArray[np.float32]


def tone_mapped(rgb: NDArray[np.uint16], transfer: Transfer) -> NDArray[np.uint8]:
    """The picture with 8 bits and the colours of a usual screen: (height, width, 3), blue, green, red.

    Args:
        rgb: (height, width, 3), red, green, blue with the primaries of BT.2020; 65535 is the highest code.
        transfer: how codes stand for light.
    """
    codes = rgb >> 4
    if transfer == "pq":
        shown = _shown_of_pq()[codes]
    else:
        scene = _scene_of_hlg()[codes]
        gain = _gain_of_hlg()[_places(_transformed(scene, _LUMA))]
        shown = _shown_of_display()[_places(scene * gain[..., np.newaxis])]
    return np.asarray(_levels()[_places(_transformed(shown, _TO_BT709_BGR))], np.uint8)


def pq_code(light_cd_m2: Floats) -> Floats:
    """The codes of PQ, from 0 to 1, for light up to 10,000 cd/m²."""
    power = np.power(np.clip(light_cd_m2 / 10_000, 0, 1), _M1)
    return np.asarray(np.power((_C1 + _C2 * power) / (1 + _C3 * power), _M2), np.float32)


def _transformed(pixels: Floats, matrix: Floats) -> Floats:
    return np.asarray(cv2.transform(pixels, matrix), np.float32)


def _places(light: Floats) -> NDArray[np.uint16]:
    """Places in a table over the square root of light from 0 to 1, which is finer where it is dark."""
    place = np.sqrt(np.clip(light, 0.0, 1.0))
    place *= _CODES - 1
    return (place + 0.5).astype(np.uint16)


def _light_of_places() -> Floats:
    return np.square(np.linspace(0, 1, _CODES, dtype=np.float32))


def _pq_light(code: Floats) -> Floats:
    power = np.power(code, 1 / _M2)
    return np.asarray(
        10_000 * np.power(np.maximum(power - _C1, 0) / (_C2 - _C3 * power), 1 / _M1), np.float32
    )


def _compressed(light_cd_m2: Floats) -> Floats:
    """Light of a screen, from 0 to 1: the curve leaves dark light as it is and bends up to the peak."""
    peak = pq_code(np.array(_PEAK_CD_M2, np.float32))
    light = np.minimum(pq_code(light_cd_m2) / peak, 1.0)
    highest = pq_code(np.array(_WHITE_CD_M2, np.float32)) / peak
    knee = 1.5 * highest - 0.5
    t = (light - knee) / (1 - knee)
    bent = (
        (2 * t**3 - 3 * t**2 + 1) * knee
        + (t**3 - 2 * t**2 + t) * (1 - knee)
        + (-2 * t**3 + 3 * t**2) * highest
    )
    return _pq_light(np.where(light < knee, light, bent) * peak) / np.float32(_WHITE_CD_M2)


@functools.cache
def _shown_of_pq() -> Floats:
    """For each code of PQ, the light of a screen."""
    return _compressed(_pq_light(np.linspace(0, 1, _CODES, dtype=np.float32)))


@functools.cache
def _scene_of_hlg() -> Floats:
    """For each code of HLG, the light of the scene, from 0 to 1."""
    code = np.linspace(0, 1, _CODES, dtype=np.float32)
    return np.asarray(np.where(code <= 0.5, code**2 / 3, (np.exp((code - _C) / _A) + _B) / 12), np.float32)


@functools.cache
def _gain_of_hlg() -> Floats:
    """For each place of the brightness of a pixel, how much brighter a display shows it."""
    return np.asarray(np.power(np.maximum(_light_of_places(), 1e-6), _HLG_GAMMA - 1), np.float32)


@functools.cache
def _shown_of_display() -> Floats:
    """For each place, the light of a screen for that share of the peak."""
    return _compressed(_light_of_places() * np.float32(_PEAK_CD_M2))


@functools.cache
def _levels() -> NDArray[np.uint8]:
    """For each place, the level of sRGB (IEC 61966-2-1)."""
    light = _light_of_places()
    level = np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.power(light, 1 / 2.4) - 0.055)
    return np.asarray(np.rint(255 * level), np.uint8)
