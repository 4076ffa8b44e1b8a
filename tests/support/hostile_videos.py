"""Videos that lie about their size, and files that name others to be opened."""

from __future__ import annotations

import re
from pathlib import Path

import av
import numpy as np

_SEQUENCE_PARAMETERS = 7  # the type of the NAL unit (H.264, table 7-1)
_BASELINE = 66
_MACROBLOCK_PX = 16


def write_h264(path: Path, claims_px: int) -> None:
    """A bare stream of H.264, small pictures in truth, that claims to be square with sides of `claims_px`."""
    with av.open(str(path), "w", format="h264") as container:
        video = container.add_stream("libx264", rate=25, options={"profile": "baseline"})
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        for number in range(5):
            pixels = np.random.default_rng(number).integers(0, 255, (64, 64, 3), np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="bgr24")))
        container.mux(video.encode())
    units = re.split(b"(\x00\x00\x00?\x01)", path.read_bytes())
    path.write_bytes(b"".join(_claiming(unit, claims_px) for unit in units))


def _claiming(unit: bytes, side_px: int) -> bytes:
    """A NAL unit; its size is written anew where it holds one (H.264, section 7.3.2.1.1)."""
    if not unit or unit[0] & 31 != _SEQUENCE_PARAMETERS:
        return unit
    payload = unit[1:].replace(b"\x00\x00\x03", b"\x00\x00")
    assert payload[0] == _BASELINE, "other profiles have more fields before the size"
    bits = "".join(f"{byte:08b}" for byte in payload)
    at = 24
    for _ in range(2):
        _, at = _read_number(bits, at)
    order_type, at = _read_number(bits, at)
    assert order_type in (0, 2)
    for _ in range(2 if order_type == 0 else 1):
        _, at = _read_number(bits, at)
    begin = at + 1
    _, end = _read_number(bits, begin)
    _, end = _read_number(bits, end)
    side = _number(side_px // _MACROBLOCK_PX - 1)
    bits = (bits[:begin] + side * 2 + bits[end:]).rstrip("0")
    bits += "0" * (-len(bits) % 8)
    data = bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))
    return unit[:1] + re.sub(b"\x00\x00(?=[\x00-\x03])", b"\x00\x00\x03", data)


def _read_number(bits: str, at: int) -> tuple[int, int]:
    """An Exp-Golomb number and where the next begins (H.264, section 9.1)."""
    zeros = bits.index("1", at) - at
    end = at + 2 * zeros + 1
    return int(bits[at + zeros : end], 2) - 1, end


def _number(value: int) -> str:
    digits = f"{value + 1:b}"
    return "0" * (len(digits) - 1) + digits


def files_that_name(other: Path, url: str) -> dict[str, str]:
    """By name: playlists, lists and descriptions that would have a reader open `other` or `url`."""
    playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{}\n#EXT-X-ENDLIST\n"
    return {
        "web.m3u8": playlist.format(f"{url}/segment.ts"),
        "file.m3u8": playlist.format(other.name),
        "list.ffconcat": f"ffconcat version 1.0\nfile {other.name}\n",
        "list.mp4": f"ffconcat version 1.0\nfile {other.name}\n",
        "weblist.mp4": f"ffconcat version 1.0\nfile {url}/video.mp4\n",
        "session.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        "m=video 23456 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        "manifest.mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'profiles="urn:mpeg:dash:profile:isoff-live:2011" mediaPresentationDuration="PT5S"><Period>'
        '<AdaptationSet mimeType="video/mp4"><Representation id="0" bandwidth="1">'
        f"<BaseURL>{url}/video.mp4</BaseURL></Representation></AdaptationSet></Period></MPD>",
    }
