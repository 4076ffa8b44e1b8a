"""Videos of high dynamic range: a usual picture, as a camera of ITU-R BT.2100 would show it."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from numpy.typing import NDArray

from agegender.shared.images.pictures import Bgr
from agegender.shared.images.tone_mapping import Transfer, pq_code

WHITE_CD_M2 = 203.0
PEAK_CD_M2 = 1_000.0
_TO_BT2020 = np.array(
    [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]], np.float32
)


def hdr_codes(picture_bgr: Bgr, transfer: Transfer, white_cd_m2: float = WHITE_CD_M2) -> NDArray[np.uint16]:
    """Red, green, blue of 16 bits, with the primaries of BT.2020; white has this much light."""
    level = picture_bgr[:, :, ::-1].astype(np.float32) / 255
    linear = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
    light = np.asarray(np.maximum(linear @ _TO_BT2020.T, 0) * white_cd_m2, np.float32)
    code = pq_code(light) if transfer == "pq" else _hlg_code(light / np.float32(PEAK_CD_M2))
    return np.rint(code * 65_535).astype(np.uint16)


def _hlg_code(display: NDArray[np.float32]) -> NDArray[np.float32]:
    """ITU-R BT.2100-2, table 5: the inverse of the display's function, then the camera's."""
    luma = np.maximum(display @ np.array([0.2627, 0.6780, 0.0593], np.float32), 1e-6)
    scene = display * np.power(luma, 1 / 1.2 - 1)[..., np.newaxis]
    high = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-6)) + 0.55991073
    return np.asarray(np.clip(np.where(scene <= 1 / 12, np.sqrt(3 * scene), high), 0, 1), np.float32)


def write_hdr_clip(path: Path, picture_bgr: Bgr, transfer: Transfer, frames: int = 3) -> None:
    """A clip of 10 bits whose frames all show the picture."""
    with av.open(str(path), "w") as container:
        video = container.add_stream(
            "libx265", rate=10, options={"crf": "8", "x265-params": "log-level=none"}
        )
        video.height, video.width = picture_bgr.shape[:2]
        video.pix_fmt = "yuv420p10le"
        context = video.codec_context
        context.color_trc = ColorTrc.SMPTE2084 if transfer == "pq" else ColorTrc.ARIB_STD_B67
        context.color_primaries, context.colorspace = ColorPrimaries.BT2020, Colorspace.BT2020
        context.color_range = ColorRange.MPEG
        rgb = av.VideoFrame.from_ndarray(hdr_codes(picture_bgr, transfer), format="rgb48le")
        shown = rgb.reformat(
            format="yuv420p10le", dst_colorspace=Colorspace.BT2020, dst_color_range=ColorRange.MPEG
        )
        for number in range(frames):
            shown.pts = number
            container.mux(video.encode(shown))
        container.mux(video.encode(None))
