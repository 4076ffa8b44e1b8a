"""Reads a clip into the parts that a camera sends: H.264 access units with their times."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import av
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer

from agegender.shared.errors import AgeGenderError

_START_CODE = re.compile(rb"\x00{2,3}\x01")
_NAL_TYPE = 0x1F
_SPS, _PPS = 7, 8


class ClipRefused(AgeGenderError):
    """A file that a simulated camera cannot play. The text says what is wrong with it."""


@dataclass(frozen=True)
class AccessUnit:
    """All NAL units (without start codes) of one picture."""

    time_s: float
    """Since the start of the clip."""
    is_keyframe: bool
    nals: tuple[bytes, ...]


@dataclass(frozen=True)
class VideoTrack:
    """A whole clip, held in memory: never empty, it begins with a keyframe, and its times rise."""

    units: tuple[AccessUnit, ...]
    duration_s: float
    """Including the time for which the last picture is shown."""
    sps: bytes
    pps: bytes


def load_track(clip: Path) -> VideoTrack:
    """Reads the H.264 video of `clip`.

    Raises `ClipRefused` for what a camera cannot send, `FileNotFoundError` for a missing file.
    """
    try:
        with av.open(str(clip)) as container:
            if not container.streams.video or container.streams.video[0].codec_context.name != "h264":
                raise ClipRefused(
                    f"expected H.264 video in {clip}; convert it with `convert_video` of "
                    "agegender.simulator.content.clips"
                )
            units = tuple(_access_units(container))
    except av.error.InvalidDataError as error:
        raise ClipRefused(f"expected a video file, got {clip}, which FFmpeg cannot read") from error
    times = [unit.time_s for unit in units]
    if len(units) < 2 or not units[0].is_keyframe:
        raise ClipRefused(
            f"expected two pictures or more, a keyframe first, in {clip}; got {len(units)} pictures"
        )
    if any(later <= earlier for earlier, later in pairwise(times)):
        raise ClipRefused(
            f"expected no B-frames in {clip}; convert it with agegender.simulator.content.clips.convert_video"
        )
    start_s, end_s = times[0], times[-1]
    units = tuple(AccessUnit(unit.time_s - start_s, unit.is_keyframe, unit.nals) for unit in units)
    return VideoTrack(
        units=units,
        duration_s=(end_s - start_s) * len(units) / (len(units) - 1),
        sps=_parameter_set(units, _SPS, clip),
        pps=_parameter_set(units, _PPS, clip),
    )


def _access_units(container: InputContainer) -> Iterator[AccessUnit]:
    stream = container.streams.video[0]
    to_annex_b = BitStreamFilterContext("h264_mp4toannexb", stream)
    for demuxed in container.demux(stream):
        for packet in to_annex_b.filter(demuxed if demuxed.size else None):
            if packet.pts is not None:
                nals = tuple(nal for nal in _START_CODE.split(bytes(packet)) if nal)
                yield AccessUnit(float(packet.pts * packet.time_base), packet.is_keyframe, nals)


def _parameter_set(units: tuple[AccessUnit, ...], nal_type: int, clip: Path) -> bytes:
    for unit in units:
        for nal in unit.nals:
            if nal[0] & _NAL_TYPE == nal_type:
                return nal
    raise ClipRefused(f"expected an H.264 parameter set of type {nal_type} in {clip}, found none")
