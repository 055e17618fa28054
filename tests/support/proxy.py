"""A TCP proxy on loopback that can go silent, or hand on in one piece what comes in a while."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

_CHUNK_BYTES = 1 << 16


class Proxy:
    """Stands between a client and `127.0.0.1:<port>`; `silence` cuts without a word.

    With a `lag_s` it waits so long (seconds) for more before it hands on what came. With
    `forgets_s` a connection on which nothing came for so long goes silent, as at a NAT gateway.
    """

    def __init__(self, port: int, lag_s: float = 0.0, forgets_s: float = float("inf")) -> None:
        self._lag_s, self._forgets_s = lag_s, forgets_s
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._silent: set[socket.socket] = set()
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    @property
    def port(self) -> int:
        """Return the port to connect to."""
        return int(self._listener.getsockname()[1])

    def silence(self) -> None:
        """Swallow everything on the connections that are open now; new ones work."""
        with self._lock:
            self._silent.update(self._open)

    def cut(self) -> None:
        """Close the connections that are open now, as a server does that they idle at."""
        with self._lock:
            for sock in self._open:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close every connection, and take no new one."""
        # Without the shutdown the thread in `accept` would keep the port.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for sock in self._open:
                sock.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._target)
            except OSError:
                client.close()
                continue
            with self._lock:
                self._open += [client, server]
            for pair in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            came_at = time.monotonic()
            while chunk := self._receive(source):
                if time.monotonic() - came_at > self._forgets_s:
                    self._silent.add(source)
                came_at = time.monotonic()
                if source not in self._silent:
                    sink.sendall(chunk)
        if source not in self._silent:
            for sock in (source, sink):
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def _receive(self, source: socket.socket) -> bytes:
        if self._lag_s:
            source.recv(1, socket.MSG_PEEK)
            time.sleep(self._lag_s)
        return source.recv(_CHUNK_BYTES)

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
