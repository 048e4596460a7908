"""A proxy does to connections what its network says, and delivers late what it held back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from coterie_chassis.testing import until
from tests.faults.storm.proxy import Network, Proxy, to_tcp

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def echoing() -> AsyncIterator[Proxy]:
    """A proxy in front of a server that says everything back."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1024):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    proxy = Proxy(to_tcp("127.0.0.1", server.sockets[0].getsockname()[1]))
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
        server.close()


async def connected(proxy: Proxy) -> Streams:
    """A connection that works."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"hello")
    assert await asyncio.wait_for(reader.readexactly(5), 5) == b"hello"
    return reader, writer


@pytest.mark.parametrize("network", [Network.BLACK_HOLE, Network.ONE_WAY])
async def test_a_silent_network_answers_nothing_until_it_speaks_again(network: Network) -> None:
    async with echoing() as proxy:
        reader, writer = await connected(proxy)
        await proxy.become(network)
        writer.write(b"later")
        answer = asyncio.create_task(reader.readexactly(5))

        async def held() -> bool:
            return proxy.met[network] > 0

        await until(held)
        assert not answer.done()
        await proxy.become(Network.WELL)
        assert await asyncio.wait_for(answer, 5) == b"later"
        writer.close()


@pytest.mark.parametrize("network", [Network.CUT, Network.RESET])
async def test_a_connection_ends_at_once(network: Network) -> None:
    async with echoing() as proxy:
        reader, _ = await connected(proxy)
        await proxy.become(network)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), 5)
        assert proxy.met[network] > 0


async def test_a_cut_network_takes_no_connection_and_a_reset_one_does() -> None:
    async with echoing() as proxy:
        await proxy.become(Network.CUT)
        reader, _ = await asyncio.open_connection("127.0.0.1", proxy.port)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), 5)
        await proxy.become(Network.RESET)
        _, writer = await connected(proxy)
        writer.close()


async def test_a_slow_network_delivers_everything() -> None:
    async with echoing() as proxy:
        await proxy.become(Network.SLOW)
        _, writer = await connected(proxy)
        assert proxy.met[Network.SLOW] > 0
        writer.close()
