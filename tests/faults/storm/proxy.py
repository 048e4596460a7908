"""A TCP proxy whose network can be broken: cut, silent, one way, slow or reset.

What a silent network holds back is delivered once it speaks again, late as it is, because real
networks do the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

__all__ = ["Network", "Proxies", "Proxy", "to_socket", "to_tcp"]

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], Awaitable[Streams]]
_CHUNK: Final = 65_536
_SLOW_S: Final = 0.1
_START_S: Final = 5.0


class Network(StrEnum):
    """`CUT` closes and refuses, `RESET` closes once and rudely, `BLACK_HOLE` answers nothing."""

    WELL = "well"
    CUT = "cut"
    RESET = "reset"
    BLACK_HOLE = "black hole"
    ONE_WAY = "one way"
    SLOW = "slow"


def to_tcp(host: str, port: int) -> Connect:
    """Connects to a TCP server."""
    return lambda: asyncio.open_connection(host, port)


def to_socket(path: Path) -> Connect:
    """Connects to a server on a unix socket."""
    return lambda: asyncio.open_unix_connection(str(path))


class Proxy:
    """Accepts on `port` of 127.0.0.1 and passes on. `met` counts what a network did to whom."""

    def __init__(self, connect: Connect) -> None:
        self.port = 0
        self.met: Counter[Network] = Counter()
        self._connect = connect
        self._network = Network.WELL
        self._changed = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def start(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()

    async def become(self, network: Network) -> None:
        """Change the network for connections that are there and that come."""
        self._network = network
        self._changed.set()
        self._changed = asyncio.Event()
        if network in {Network.CUT, Network.RESET}:
            for writer in list(self._writers):
                self.met[network] += 1
                _end(writer, rudely=network is Network.RESET)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._network is Network.CUT:
            self.met[Network.CUT] += 1
            writer.transport.abort()
            return
        try:
            there, towards = await self._connect()
        except OSError:
            writer.transport.abort()
            return
        both = {writer, towards}
        self._writers |= both
        pumps = {
            asyncio.create_task(self._pump(reader, towards, answers=False)),
            asyncio.create_task(self._pump(there, writer, answers=True)),
        }
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            for one in both:
                one.transport.abort()
            self._writers -= both

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(_CHUNK):
                if self._network is Network.SLOW:
                    self.met[Network.SLOW] += 1
                    await asyncio.sleep(_SLOW_S)
                while self._holds(answers=answers):
                    self.met[self._network] += 1
                    await self._changed.wait()
                sink.write(data)
                await sink.drain()
            while self._holds(answers=answers):  # a silent network does not tell of an end either
                await self._changed.wait()

    def _holds(self, *, answers: bool) -> bool:
        one_way = self._network is Network.ONE_WAY and answers
        return one_way or self._network is Network.BLACK_HOLE


def _end(writer: asyncio.StreamWriter, *, rudely: bool) -> None:
    there = writer.get_extra_info("socket")
    if rudely and there is not None and there.family != socket.AF_UNIX:
        there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Proxies:
    """Proxies on an event loop in a thread of its own; every call blocks until it is done."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._all: list[Proxy] = []

    def add(self, connect: Connect, port: int = 0) -> Proxy:
        """A proxy that listens already."""
        proxy = Proxy(connect)
        self._all.append(proxy)
        self._do(proxy.start(port))
        return proxy

    def become(self, proxy: Proxy, network: Network) -> None:
        self._do(proxy.become(network))

    def close(self) -> None:
        """Stop all proxies and the loop."""
        for proxy in self._all:
            self._do(proxy.stop())
        self._all.clear()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_START_S)

    def _do(self, work: Any) -> None:
        done: Future[None] = asyncio.run_coroutine_threadsafe(work, self._loop)
        done.result(_START_S)
