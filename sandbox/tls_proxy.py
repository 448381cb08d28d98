"""TLS before the app, because wallets demand https: takes a connection, opens one to the app, and passes on every byte.

It does not look into what it carries, so that streams, large bodies and kept connections are as the app makes them. The
app sees plain HTTP from this machine.
"""

import asyncio
import contextlib
import ssl
import threading
from concurrent.futures import Future
from weakref import WeakSet

HOST = "127.0.0.1"
_CHUNK = 64 * 1024
_BACKLOG = 512
_GOODBYE_SECONDS = 2.0
"""How long a client may take to close its side of TLS."""


class TlsProxy:
    """The proxy, in a thread of its own. `port` 0 takes a free one; `target` is the app's host and port."""

    def __init__(self, context: ssl.SSLContext, target: tuple[str, int], port: int = 0) -> None:
        self._context, self._target, self.port = context, target, port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tls-proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self._carrying: set[asyncio.Task[None]] = set()
        self._open: WeakSet[asyncio.WriteTransport] = WeakSet()

    @property
    def url(self) -> str:
        """The address for clients, without a slash at its end."""
        return f"https://localhost:{self.port}"

    @property
    def connections(self) -> int:
        """How many clients are connected now."""
        return len(self._carrying)

    def start(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        self._thread.start()
        listening: Future[None] = asyncio.run_coroutine_threadsafe(self._listen(), self._loop)
        try:
            listening.result(10)
        except OSError:
            self._end()
            raise

    def stop(self) -> None:
        """Cut all connections and end the thread."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._end()

    def __enter__(self) -> "TlsProxy":
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(
            self._connected,
            HOST,
            self.port,
            ssl=self._context,
            limit=_CHUNK,
            backlog=_BACKLOG,
            ssl_shutdown_timeout=_GOODBYE_SECONDS,
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._carrying):
            task.cancel()
        await asyncio.gather(*self._carrying, return_exceptions=True)
        for transport in list(self._open):
            with contextlib.suppress(AttributeError):  # Python 3.11.2's, of a transport that has just closed by itself
                transport.abort()
        await asyncio.sleep(_GOODBYE_SECONDS / 100)  # cut connections are closed in the loop's next rounds

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            return
        self._carrying.add(task)
        self._open.add(writer.transport)
        try:
            # Whatever either side does, both connections end together; a cut one is no news to a proxy.
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await self._carry(reader, writer)
        finally:
            writer.close()
            self._carrying.discard(task)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        app_reader, app_writer = await asyncio.open_connection(*self._target, limit=_CHUNK)
        try:
            # A client that ends its side wants no answer any more: TLS connections are not half closed.
            ways = {
                asyncio.ensure_future(_pass_on(reader, app_writer)),
                asyncio.ensure_future(_pass_on(app_reader, writer)),
            }
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        finally:
            app_writer.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
