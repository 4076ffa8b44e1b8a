"""Simulated cameras for programs that are not asynchronous: the demo and the tests."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from agegender.simulator.rtsp.auth import Gatekeeper, Login, Scheme
from agegender.simulator.rtsp.camera import Audience, SimulatedCamera
from agegender.simulator.rtsp.faults import Fault
from agegender.simulator.rtsp.manners import PLAIN, Manners
from agegender.simulator.rtsp.media import load_track
from agegender.simulator.rtsp.server import RtspServer

CALL_TIMEOUT_S = 10.0

_NAME = re.compile(r"[A-Za-z0-9._-]+")

_Result = TypeVar("_Result")


class CameraSimulator:
    """RTSP cameras that play clips for ever; each listens on a port of its own.

    Use it as a context manager: the cameras are gone at the end of the block. Its event loop runs in a thread
    of its own; all methods may be called from anywhere and return when what they promise has happened.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        login: Login | None = None,
        schemes: tuple[Scheme, ...] = ("digest", "basic"),
    ) -> None:
        """Without `login` the cameras are open to everybody.

        `host`: a numeric address. `port`: of the first camera, counted up for the next ones; 0 gives each
        camera any free port. `schemes`: how the login may be given.
        """
        self._host = host
        self._next_port = port
        self._login = login
        self._schemes = schemes
        self._servers: dict[str, RtspServer] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="simulated-cameras", daemon=True)
        self._thread.start()

    def __enter__(self) -> CameraSimulator:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def add(
        self,
        name: str,
        clip: Path,
        *,
        clock: bool = True,
        untold_pictures: int = 0,
        other_clip: Path | None = None,
        manners: Manners = PLAIN,
    ) -> str:
        """Starts a camera that plays `clip`; returns its URL without a login.

        `clock`: whether the camera tells the wall clock of its pictures (RTCP sender reports).
        `untold_pictures`: the number of pictures that a viewer gets before the first report.
        `other_clip`: the clip that it plays in between with the fault `OTHER_SIZE`.
        `manners`: how it talks RTSP.
        Raises `ValueError` for a name that is taken or unfit for a URL, `ClipRefused` for a clip that is not
        H.264 or has B-frames, `OSError` for a missing file or a port that is taken.
        """
        if not _NAME.fullmatch(name) or name in self._servers:
            raise ValueError(f"expected a new name of letters, digits, '.', '_' and '-', got {name!r}")
        other = None if other_clip is None else load_track(other_clip)
        camera = SimulatedCamera(load_track(clip), other, clock=clock, untold_pictures=untold_pictures)
        gatekeeper = Gatekeeper(self._login, self._schemes)
        server = RtspServer(name, camera, gatekeeper, self._host, self._next_port, manners)
        self._call(server.start())
        self._servers[name] = server
        self._next_port += 1 if self._next_port else 0
        return self.url(name)

    def url(self, name: str) -> str:
        """`rtsp://HOST:PORT/NAME`. `KeyError` for an unknown camera."""
        return f"rtsp://{self._address(name)}/{name}"

    def url_with_login(self, name: str) -> str:
        """The same with user and password, percent-encoded; without a login it equals `url`."""
        login = f"{self._login.in_url()}@" if self._login else ""
        return f"rtsp://{login}{self._address(name)}/{name}"

    def stop_camera(self, name: str) -> None:
        """The camera goes away: its clients are cut off and new ones are refused. No effect if it is away."""
        self._call(self._servers[name].stop())

    def start_camera(self, name: str) -> None:
        """The camera comes back at the same URL, as a new stream. No effect if it runs."""
        self._call(self._servers[name].start())

    def misbehave(self, name: str, fault: Fault) -> None:
        """From now on the camera does this wrong, and no other wrong."""
        self._servers[name].camera.fault = fault

    def stall(self, name: str) -> None:
        """The camera stays connected and answers requests, but sends no pictures."""
        self.misbehave(name, Fault.STALLS)

    def resume(self, name: str) -> None:
        """Ends any misbehaviour. After a stall, pictures come again from the next keyframe on, their times
        having moved on."""
        self._servers[name].camera.fault = None

    def audience(self, name: str) -> Audience:
        """The viewers of the camera, at this moment and so far."""
        return self._servers[name].camera.audience

    def close(self) -> None:
        """Stops all cameras and the thread. May be called twice."""
        if self._loop.is_closed():
            return
        for server in self._servers.values():
            self._call(server.stop())
            server.release_port()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL_TIMEOUT_S)
        self._loop.close()

    def _address(self, name: str) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{host}:{self._servers[name].port}"

    def _call(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_TIMEOUT_S)
