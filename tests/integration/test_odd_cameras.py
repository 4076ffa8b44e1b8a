"""Cameras that are slow, or talk RTSP in their own way: each gives frames, or says why not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import PictureType

from agegender.commands.cameras.probing import ProbedCamera, probe
from agegender.commands.cameras.view import probed_lines
from agegender.services.ingest.sources.rtsp.connection import open_rtsp
from agegender.services.ingest.sources.stream import CameraError, FailureReason
from agegender.shared.cameras.camera import Camera
from agegender.simulator.content.clips import write_video
from agegender.simulator.rtsp.auth import Login, Scheme
from agegender.simulator.rtsp.cameras import CameraSimulator
from agegender.simulator.rtsp.manners import Manners, Transport
from tests.support.taking import Taker
from tests.support.waiting import wait_until

SIZE_WH = (320, 180)
FPS = 10
RARELY_S = 8
"""From one keyframe to the next of a camera that saves bandwidth."""
LOGIN = Login("viewer", "s3cret")
UDP: frozenset[Transport] = frozenset({"udp"})

WITH_LOGIN: Mapping[str, tuple[tuple[Scheme, ...], Manners]] = {
    "sha-256": (("digest-sha-256",), Manners()),
    "sha-256-last": (("digest", "digest-sha-256", "basic"), Manners()),
    "sha-256-first": (("digest-sha-256", "digest"), Manners()),
    "slow-with-login": (("digest",), Manners(delays_s={"DESCRIBE": 3})),
    "busy": (("digest",), Manners(refusals={"SETUP": 453})),
    "starting": (("basic",), Manners(refusals={"DESCRIBE": 503})),
}
OPEN: Mapping[str, Manners] = {
    "slow-describe": Manners(delays_s={"DESCRIBE": 6}),
    "slow-play": Manners(delays_s={"PLAY": 5}),
    "udp-only": Manners(transports=UDP),
    "udp-only-400": Manners(transports=UDP, transport_refusal=400),
    "udp-only-501": Manners(transports=UDP, transport_refusal=501),
    "no-transport": Manners(transports=frozenset()),
    "sound-first": Manners(offers_sound=True),
    "rare-keyframes": Manners(begins_with_keyframe=False),
    "changing-keyframes": Manners(),
    "redirects-to-a-page": Manners(redirect_to="http://127.0.0.1/"),
    "redirects-nowhere": Manners(redirect_to="rtsp://127.0.0.1:1/x"),
    "without-describe": Manners(refusals={"DESCRIBE": 501}),
    "stopped": Manners(refusals={"PLAY": 455}),
}
DOWN = {
    "sha-256": ("unsupported", "by Digest SHA-256"),
    "sha-256-last": ("unsupported", "by Digest SHA-256"),
    "busy": ("refused", "SETUP with 453: not enough bandwidth"),
    "starting": ("refused", "DESCRIBE with 503: it is busy"),
    "no-transport": ("unsupported", "neither over TCP nor"),
    "redirects-to-a-page": ("unsupported", "no RTSP URL"),
    "redirects-nowhere": ("refused", "redirected us to 127.0.0.1:1"),
    "without-describe": ("refused", "DESCRIBE with 501"),
    "stopped": ("refused", "PLAY with 455"),
}
REDIRECTS = ("redirect-301", "redirect-302", "redirect-after-login", "redirect-to-udp", "redirect-twice")
WATCHED_S = {"changing-keyframes": 6}
UP = sorted({*WITH_LOGIN, *OPEN, *REDIRECTS, "ipv6", "ipv6-zone"} - set(DOWN))


@dataclass(frozen=True)
class Clips:
    short: Path
    long: Path
    """With one keyframe."""
    irregular: Path
    """With keyframes after half a second and then after four and a half."""


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    folder = tmp_path_factory.mktemp("clips")
    pictures = [np.full((SIZE_WH[1], SIZE_WH[0], 3), 3 * n, np.uint8) for n in range(RARELY_S * FPS)]
    clips = Clips(*(folder / f"{name}.mp4" for name in ("short", "long", "irregular")))
    write_video(clips.short, pictures[:FPS], size_wh=SIZE_WH, fps=FPS)
    write_video(clips.long, pictures, size_wh=SIZE_WH, fps=FPS, keyframe_every=len(pictures))
    with av.open(str(clips.irregular), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"g": "1000", "bf": "0"})
        stream.width, stream.height = SIZE_WH
        for index in range(5 * FPS):
            frame = av.VideoFrame.from_ndarray(pictures[index], format="bgr24")
            frame.pts = index
            frame.pict_type = PictureType.I if index in (0, FPS // 2) else PictureType.NONE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return clips


@pytest.fixture(scope="module")
def cameras(clips: Clips) -> Iterator[list[Camera]]:
    played = {"rare-keyframes": clips.long, "changing-keyframes": clips.irregular}
    short = clips.short
    sources: dict[str, str] = {}
    with ExitStack() as stack:

        def simulator(*, host: str = "127.0.0.1", **login: object) -> CameraSimulator:
            return stack.enter_context(CameraSimulator(host=host, **login))  # type: ignore[arg-type]

        plain, locked = simulator(), simulator(login=LOGIN)
        for name, (schemes, manners) in WITH_LOGIN.items():
            one = simulator(login=LOGIN, schemes=schemes)
            one.add(name, short, manners=manners)
            sources[name] = one.url_with_login(name)
        for name, manners in OPEN.items():
            sources[name] = plain.add(name, played.get(name, short), manners=manners)
        six = simulator(host="::1", login=LOGIN)
        six.add("ipv6", short)
        sources["ipv6"] = six.url_with_login("ipv6")
        sources["ipv6-zone"] = sources["ipv6"].replace("[::1]", "[::1%251]")
        last = plain.add("last", short)
        for name, target, status in (
            ("redirect-301", last, 301),
            ("redirect-302", last, 302),
            ("redirect-to-udp", sources["udp-only"], 302),
        ):
            sources[name] = plain.add(name, short, manners=_redirect(target, status))
        sources["redirect-twice"] = plain.add(
            "redirect-twice", short, manners=_redirect(sources["redirect-301"], 301)
        )
        locked.add("redirect-after-login", short, manners=_redirect(locked.add("locked", short), 302))
        sources["redirect-after-login"] = locked.url_with_login("redirect-after-login")
        yield [Camera(id=name, source=source) for name, source in sources.items()]


def _redirect(target: str, status: int) -> Manners:
    return Manners(redirect_to=target, redirect_status=status)


@dataclass(frozen=True)
class Seen:
    taker: Taker
    waited: str
    """What was told of the camera with rare keyframes while it gave no frames."""


@pytest.fixture(scope="module")
def seen(cameras: list[Camera]) -> Iterator[Seen]:
    with Taker(cameras, no_frame_s=2) as taker:

        def waits() -> bool:
            return "rare-keyframes" in taker.source.failures or bool(taker.of("rare-keyframes"))

        wait_until(waits, 20, "the camera with rare keyframes is told of")
        waited = taker.source.failures.get("rare-keyframes", "")
        wait_until(lambda: all(taker.of(name) for name in UP), 40, "all that can give frames do")
        wait_until(lambda: all(taker.failures(name) for name in DOWN), 20, "all others fail")
        yield Seen(taker, waited)


@pytest.mark.parametrize("name", UP)
def test_an_odd_camera_gives_frames_at_the_first_try(seen: Seen, name: str) -> None:
    assert seen.taker.failures(name) == {}
    assert len({one.frame.stream_id for one in seen.taker.of(name)}) == 1


@pytest.mark.parametrize("name", DOWN)
def test_a_camera_that_cannot_be_read_says_why(seen: Seen, name: str) -> None:
    reason, text = DOWN[name]
    assert seen.taker.failures(name).keys() == {reason}
    assert text in seen.taker.source.failures[name]


@pytest.mark.parametrize("method", ["OPTIONS", "DESCRIBE", "SETUP", "PLAY"])
def test_an_answer_that_comes_too_late_is_unreachable(clips: Clips, method: str) -> None:
    with CameraSimulator() as simulator:
        source = simulator.add("door", clips.short, manners=Manners(delays_s={method: 4}))
        with pytest.raises(CameraError, match="no answer within 1 s") as raised:
            open_rtsp(source, no_frame_s=1, answer_s=1)
    assert raised.value.reason is FailureReason.UNREACHABLE


def test_rare_keyframes_are_waited_for_and_told(seen: Seen) -> None:
    assert seen.waited.startswith("waits for a keyframe")
    assert "rare-keyframes" not in seen.taker.source.failures


@pytest.fixture(scope="module")
def probed(cameras: list[Camera]) -> dict[str, ProbedCamera]:
    with ThreadPoolExecutor(len(cameras)) as pool:
        found = list(pool.map(lambda one: probe(one, WATCHED_S.get(one.id, 1.5)), cameras))
    return {one.camera_id: one for one in found}


def test_probe_tells_which_odd_cameras_give_frames(probed: dict[str, ProbedCamera]) -> None:
    assert sorted(name for name, found in probed.items() if found.ok) == UP
    assert {name: probed[name].reason for name in DOWN} == {name: one[0] for name, one in DOWN.items()}
    assert all(text in (probed[name].problem or "") for name, (_, text) in DOWN.items())


def test_probe_tells_what_is_odd(probed: dict[str, ProbedCamera]) -> None:
    said = {
        "slow-describe": "its stream begins only after",
        "slow-play": "its stream begins only after",
        "udp-only": "it sends over UDP only",
        "udp-only-400": "it sends over UDP only",
        "redirect-to-udp": "it sends over UDP only",
        "redirect-301": "it redirects to 127.0.0.1:",
        "redirect-after-login": "it redirects to 127.0.0.1:",
    }
    for name, text in said.items():
        assert text in "\n".join(line.plain for line in probed_lines(probed[name]))
    assert probed["sound-first"].transport == "tcp"
    assert not any("UDP" in warning for warning in probed["sound-first"].warnings)


def test_probe_waits_for_a_rare_keyframe(probed: dict[str, ProbedCamera]) -> None:
    found = probed["rare-keyframes"]
    assert (found.ok, found.width_px, found.keyframe_s) == (True, *SIZE_WH[:1], None)
    assert found.keyframe_over_s is not None
    assert 1 < found.keyframe_over_s <= RARELY_S + 1
    assert "once no keyframe for" in "\n".join(line.plain for line in probed_lines(found))


def test_probe_tells_of_keyframes_that_come_irregularly(probed: dict[str, ProbedCamera]) -> None:
    found = probed["changing-keyframes"]
    assert max(found.keyframe_over_s or 0, found.keyframe_s or 0) > 4
    assert any(re.match("a keyframe .* every [45] s", warning) for warning in found.warnings)
