"""The server: every venue on one loopback port, the control API beside them."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import signal
import socket
import struct
import sys
import time
from collections.abc import Iterator, Mapping
from email.utils import formatdate
from functools import cache, lru_cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage

from .control import answer as answer_control
from .engine import REDIRECTED, Verdict, judge, one_way_s
from .messages import Call, Reply
from .venue import Venue
from .world import World

CONTROL = "/_sandbox/"

#: the largest body of a request
MOST_BYTES = 256 * 1024 * 1024

#: seconds that requests in flight get at the end
GRACE_S = 0.1


class Connection(web.RequestHandler):
    """A client's connection, which notes when bytes came in."""

    received_s = 0.0

    def data_received(self, data: bytes) -> None:
        """Stamp the arrival before anything else is done."""
        self.received_s = time.monotonic()
        super().data_received(data)


def make_request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: web.RequestHandler,
    writer: AbstractStreamWriter,
    task: asyncio.Task[None],
) -> web.BaseRequest:
    """Make a request whose body may be as large as a bulk of orders is."""
    loop = asyncio.get_running_loop()
    return web.BaseRequest(
        message, payload, protocol, writer, task, loop, client_max_size=MOST_BYTES
    )


class Sandbox(web.Server):
    """The aiohttp server of one world."""

    def __init__(self, world: World) -> None:
        super().__init__(
            self.serve, request_factory=make_request, access_log=None, lingering_time=0
        )
        self.world = world

    def __call__(self) -> web.RequestHandler:
        """Take a connection."""
        return Connection(self, loop=self._loop, **self._kwargs)

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request, of a venue's client or of the control API's."""
        received_s = getattr(request.protocol, "received_s", 0.0)
        path, _, raw_query = request.raw_path.partition("?")
        body = await request.read()
        if path.startswith(CONTROL):
            name = path.removeprefix(CONTROL)
            status, value = answer_control(
                self.world, request.method, name, request.query, body
            )
            return web.Response(
                body=json.dumps(value).encode(), status=status, content_type="application/json"
            )
        call = Call(
            method=request.method,
            path=path,
            raw_query=raw_query,
            headers=request.headers,
            body=body,
        )
        venue = venue_of(call, self.world)
        if venue is None:
            return self.stray(path)
        return await self.travel(request, venue, call, received_s)

    def stray(self, path: str) -> web.Response:
        """Answer what is no venue's; a followed redirect is recorded."""
        if path.startswith(REDIRECTED):
            self.world.incident("redirect_followed", "", "", path=path)
            return web.Response(body=b'{"code":0,"msg":""}', content_type="application/json")
        return web.Response(status=404, body=b"no venue has this path")

    async def travel(
        self, request: web.BaseRequest, venue: Venue, call: Call, received_s: float
    ) -> web.StreamResponse:
        """Let the request travel to the venue, take its effect there, and travel back."""
        await nap(one_way_s(self.world))
        call.at_s, call.now_ms = time.monotonic(), self.world.now_ms()
        verdict = judge(self.world, venue, call, received_s)
        await nap(one_way_s(self.world) + verdict.hold_s)
        return await deliver(request, verdict, http_date(call.now_ms // 1000))


@cache
def find_venues() -> dict[str, Venue]:
    """Find every venue by scanning this folder: a file with a `VENUE` is one."""
    names = [info.name for info in iter_modules(import_module(__package__).__path__)]
    modules = [import_module(f"{__package__}.{name}") for name in names if name[0] != "_"]
    venues = [getattr(module, "VENUE", None) for module in modules]
    return {venue.name: venue for venue in venues if isinstance(venue, Venue)}


def venue_of(call: Call, world: World) -> Venue | None:
    """Find the venue that a path belongs to; of several the one that knows the key."""
    found = [v for v in find_venues().values() if call.path.startswith(v.prefix)]
    known = (v for v in found if (v.name, v.api_key(call)) in world.accounts)
    return next(known, found[-1] if found else None)


async def nap(seconds: float) -> None:
    """Wait, if there is anything to wait for."""
    if seconds > 0:
        await asyncio.sleep(seconds)


@lru_cache(maxsize=8)
def http_date(now_s: int) -> str:
    """Write a time as headers have it: the same for all replies of a second."""
    return formatdate(now_s, usegmt=True)


async def deliver(request: web.BaseRequest, verdict: Verdict, date: str) -> web.StreamResponse:
    """Send the verdict's reply the way it says, dated by the venues' clock."""
    reply = verdict.reply
    headers = {"Content-Type": reply.content_type, "Date": date, **reply.headers}
    if verdict.way == "half":
        return await send_half(request, reply, headers)
    if verdict.way in ("hold", "reset"):
        cut(request)
    if reply.parts is not None:
        response = web.StreamResponse(status=reply.status, headers=headers)
        return await send_parts(request, response, reply.parts())
    return web.Response(body=reply.body, status=reply.status, headers=headers)


async def send_parts(
    request: web.BaseRequest, response: web.StreamResponse, parts: Iterator[bytes]
) -> web.StreamResponse:
    """Send a long body while it is made; others have their turn in between."""
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):  # whoever has read enough hangs up
        for part in parts:
            await response.write(part)
            await asyncio.sleep(0)
    return response


def cut(request: web.BaseRequest) -> None:
    """Break the connection with a TCP reset, nothing said."""
    transport = request.transport
    if transport is None:
        return
    sock = transport.get_extra_info("socket")
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def send_half(
    request: web.BaseRequest, reply: Reply, headers: Mapping[str, str]
) -> web.StreamResponse:
    """Promise the whole body, send half of it and hang up."""
    response = web.StreamResponse(status=reply.status, headers=headers)
    body = b"".join(reply.parts()) if reply.parts else reply.body
    response.content_length = len(body) + 1
    response.force_close()
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


def check_host(host: str) -> str:
    """Return the host if it is loopback; raise ValueError where it is not."""
    if host == "localhost":
        return host
    try:
        if ipaddress.ip_address(host).is_loopback:
            return host
    except ValueError:
        pass
    raise ValueError(
        f"the sandbox listens on loopback only, not on {host}: say --host 127.0.0.1"
    )


def make_world(config: dict[str, Any]) -> World:
    """Build a world and fill it with what the configuration has."""
    world = World(find_venues())
    world.configure(config.get("settings", {}))
    for raw in config.get("accounts", ()):
        world.add_account(raw)
    for raw in config.get("orders", ()):
        world.seed(raw)
    for raw in config.get("faults", ()):
        world.order_fault(raw)
    return world


async def run(world: World, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    runner = web.ServerRunner(Sandbox(world), shutdown_timeout=GRACE_S)
    await runner.setup()
    await web.TCPSite(runner, host, port, backlog=1024).start()
    name, actual = runner.addresses[0][:2]
    shown = f"[{name}]" if ":" in name else name
    ready = {"event": "sandbox_ready", "url": f"http://{shown}:{actual}"}
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    await stopped.wait()
    await runner.cleanup()
