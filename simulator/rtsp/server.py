"""One camera behind one listening socket: RTSP 1.0 with RTP over the same TCP connection, or over UDP."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
import secrets
import socket

from agegender.simulator.rtsp.auth import Gatekeeper
from agegender.simulator.rtsp.camera import SimulatedCamera, Viewer
from agegender.simulator.rtsp.carriers import Carrier, Interleaved, datagrams
from agegender.simulator.rtsp.faults import Fault
from agegender.simulator.rtsp.manners import PLAIN, Manners
from agegender.simulator.rtsp.media import VideoTrack
from agegender.simulator.rtsp.messages import Request, read_request, response
from agegender.simulator.rtsp.rtp import CLOCK_HZ, PAYLOAD_TYPE

_METHODS = "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER"
_CHANNELS = re.compile(r"interleaved=(\d{1,3})-")
_CLIENT_PORT = re.compile(r"client_port=(\d{1,5})-")


class RtspServer:
    """Serves `camera` as `rtsp://HOST:PORT/NAME`. All methods belong to one event loop.

    While it is stopped it keeps hold of its port without listening. Otherwise the next program that asks for
    any free port might get it, or a client that tries again and again might end up connected to itself.
    """

    def __init__(
        self,
        name: str,
        camera: SimulatedCamera,
        gatekeeper: Gatekeeper,
        host: str,
        port: int,
        manners: Manners = PLAIN,
    ) -> None:
        """`host`: a numeric address. `port`: 0 takes any free one, and keeps it from the first start on."""
        self.name = name
        self.camera = camera
        self.gatekeeper = gatekeeper
        self.host = host
        self.port = port
        self.manners = manners
        self._listener: asyncio.Server | None = None
        self._playing: asyncio.Task[None] | None = None
        self._connections: dict[asyncio.Task[None], asyncio.WriteTransport] = {}
        self._port_holder: socket.socket | None = None

    async def start(self) -> None:
        """Listens and plays. Nothing happens if it already does. `OSError` if the port is taken."""
        if self._listener is None:
            self.release_port()
            self._listener = await asyncio.start_server(self._serve, self.host, self.port)
            self.port = self._listener.sockets[0].getsockname()[1]
            self._playing = asyncio.create_task(self.camera.play())

    async def stop(self) -> None:
        """Refuses new clients and drops the present ones. Returns when all of that is done."""
        if self._listener is None or self._playing is None:
            return
        self._listener.close()
        self._playing.cancel()
        for transport in self._connections.values():
            transport.abort()
        await asyncio.gather(self._playing, *self._connections, return_exceptions=True)
        await self._listener.wait_closed()
        self._listener = self._playing = None
        self._port_holder = _hold_port(self.host, self.port)

    def release_port(self) -> None:
        """Gives the port of a stopped server back to the system."""
        if self._port_holder:
            self._port_holder.close()
            self._port_holder = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a connection is always served by a task")
        self._connections[task] = writer.transport
        try:
            await _Session(self, reader, writer).run()
        finally:
            del self._connections[task]
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


class _Session:
    """The talk with one client, from its first request to the end of its connection."""

    def __init__(
        self, server: RtspServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._server = server
        self._reader = reader
        self._writer = writer
        self._id = secrets.token_hex(8)
        self._viewer: Viewer | None = None

    async def run(self) -> None:
        """Answers until the client goes, says goodbye or sends what is not RTSP."""
        goes_on = True
        try:
            while goes_on:
                request = await read_request(self._reader)
                await asyncio.sleep(self._server.manners.delays_s.get(request.method, 0.0))
                self._writer.write(await self._answer(request))
                if request.method == "PLAY" and self._viewer:
                    self._server.camera.admit(self._viewer)
                goes_on = request.method != "TEARDOWN"
                await self._writer.drain()
        except (asyncio.LimitOverrunError, ValueError):
            self._writer.write(response(None, 400))
        except (asyncio.IncompleteReadError, OSError):
            return
        finally:
            if self._viewer:
                self._server.camera.dismiss(self._viewer)
                self._viewer.close()
        with contextlib.suppress(OSError):
            await self._writer.drain()

    async def _answer(self, request: Request) -> bytes:
        refusal = self._server.manners.refusals.get(request.method)
        if request.method == "OPTIONS":
            return response(request, refusal or 200, [("Public", _METHODS)])
        gatekeeper = self._server.gatekeeper
        if not gatekeeper.admits(request.method, request.headers.get("authorization")):
            return response(request, 401, [("WWW-Authenticate", text) for text in gatekeeper.challenges()])
        if request.camera != self._server.name:
            return response(request, 404)
        if refusal is not None:
            return response(request, refusal)
        match request.method:
            case "DESCRIBE":
                return self._describe(request)
            case "SETUP":
                return await self._set_up(request)
            case "PLAY" | "TEARDOWN" if self._viewer is None:
                return response(request, 454)
            case "PLAY":
                return response(request, 200, [("Session", self._id), ("Range", "npt=now-")])
            case "TEARDOWN" | "GET_PARAMETER":
                return response(request, 200, [("Session", self._id)])
        return response(request, 501)

    def _describe(self, request: Request) -> bytes:
        manners = self._server.manners
        if manners.redirect_to is not None:
            return response(request, manners.redirect_status, [("Location", manners.redirect_to)])
        host = self._writer.get_extra_info("sockname")[0]
        headers = [("Content-Base", request.url.rstrip("/") + "/"), ("Content-Type", "application/sdp")]
        camera = self._server.camera
        codec = "H265" if camera.fault is Fault.OTHER_CODEC else "H264"
        return response(request, 200, headers, _description(camera.track, codec, host, manners))

    async def _set_up(self, request: Request) -> bytes:
        """A client that asks for a transport that is not offered is told so, and asks again."""
        wanted = request.headers.get("transport", "")
        ours = self._server.manners.transports
        ports = _CLIENT_PORT.search(wanted)
        carrier: Carrier
        if "RTP/AVP/TCP" in wanted and "tcp" in ours:
            channels = _CHANNELS.search(wanted)
            channel = min(int(channels[1]), 254) if channels else 0
            carrier = Interleaved(self._writer.transport, channel)
            transport = f"RTP/AVP/TCP;unicast;interleaved={channel}-{channel + 1}"
        elif "RTP/AVP/TCP" not in wanted and "udp" in ours and ports:
            viewer_host, port = self._writer.get_extra_info("peername")[0], int(ports[1])
            carrier = await datagrams(self._writer.transport, self._server.host, viewer_host, port)
            transport = (
                f"RTP/AVP;unicast;client_port={port}-{port + 1};"
                f"server_port={carrier.rtp_port}-{carrier.rtp_port + 1}"
            )
        else:
            return response(request, self._server.manners.transport_refusal)
        if self._viewer is not None:
            self._viewer.close()
        begins_at_once = not self._server.manners.begins_with_keyframe
        self._viewer = Viewer(carrier, waits_for_keyframe=not begins_at_once)
        return response(request, 200, [("Transport", transport), ("Session", f"{self._id};timeout=60")])


def _description(track: VideoTrack, codec: str, host: str, manners: Manners) -> str:
    """SDP (RFC 8866) of one live H.264 stream (RFC 6184, section 8.2), under any host name."""
    family = "IP6" if ":" in host else "IP4"
    sets = ",".join(base64.b64encode(nal).decode() for nal in (track.sps, track.pps))
    lines = [
        "v=0",
        f"o=- 0 0 IN {family} {host}",
        "s=Simulated camera",
        f"c=IN {family} {host}",
        "t=0 0",
        "a=control:*",
        "a=range:npt=now-",
        *(("m=audio 0 RTP/AVP 0", "a=control:trackID=1") if manners.offers_sound else ()),
        f"m=video 0 RTP/AVP {PAYLOAD_TYPE}",
        f"a=rtpmap:{PAYLOAD_TYPE} {codec}/{CLOCK_HZ}",
        f"a=fmtp:{PAYLOAD_TYPE} packetization-mode=1;profile-level-id={track.sps[1:4].hex().upper()};"
        f"sprop-parameter-sets={sets}",
        "a=control:trackID=0",
    ]
    return "\r\n".join(lines) + "\r\n"


def _hold_port(host: str, port: int) -> socket.socket:
    holder = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind((host, port))
    return holder
