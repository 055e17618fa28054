"""Hosts on loopback: one that answers, and those that a request can wait for in vain."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

HEAD = b"HTTP/1.1 200 OK\r\n"
ANSWER = HEAD + b'Content-Length: 10\r\n\r\n{"code":0}'
DRIP_S = 0.05

_UNCHECKED = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_UNCHECKED.check_hostname = False
_UNCHECKED.verify_mode = ssl.CERT_NONE


@contextmanager
def host(
    answer: Sequence[bytes] = (ANSWER,), tls: ssl.SSLContext | None = None
) -> Iterator[tuple[str, list[list[bytes]]]]:
    """Answer what comes with these parts, one after the other; keep it, by connection."""
    connections: list[list[bytes]] = []

    def serve(connection: socket.socket, came: list[bytes]) -> None:
        with (
            suppress(OSError),
            tls.wrap_socket(connection, server_side=True) if tls else connection as connection,
        ):
            while part := connection.recv(65536):
                came.append(part)
                for number, part in enumerate(answer):
                    time.sleep(DRIP_S if number else 0)
                    connection.sendall(part)

    def listen() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connections.append([])
                args = connection, connections[-1]
                threading.Thread(target=serve, args=args, daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=listen, daemon=True).start()
        scheme = "https" if tls else "http"
        yield f"{scheme}://127.0.0.1:{listener.getsockname()[1]}", connections
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxy(
    answer: bytes = HEAD + b"\r\n", inspects: ssl.SSLContext | None = None
) -> Iterator[tuple[str, list[bytes]]]:
    """Make connections by CONNECT, or answer otherwise; keep what came. One may inspect TLS."""
    asked: list[bytes] = []

    def serve(client: socket.socket) -> None:
        with suppress(OSError), client:
            asked.append(client.recv(65536))
            client.sendall(answer)
            if answer.startswith(HEAD):
                address, _, number = asked[-1].split()[1].decode().partition(":")
                with socket.create_connection((address, int(number))) as venue:
                    relay(client, venue)

    def relay(client: socket.socket, venue: socket.socket) -> None:
        if inspects:
            # By one thread, as no two may use one TLS connection at once.
            client = inspects.wrap_socket(client, server_side=True)
            venue = _UNCHECKED.wrap_socket(venue)
            while part := client.recv(65536):
                venue.sendall(part)
                client.sendall(venue.recv(65536))
            return
        threading.Thread(target=pump, args=(venue, client), daemon=True).start()
        pump(client, venue)

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while part := source.recv(65536):
                sink.sendall(part)

    def listen() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=serve, args=[client], daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=listen, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


@contextmanager
def deaf(host: str = "127.0.0.1") -> Iterator[tuple[str, int]]:
    """Give an address that answers no attempt to connect, as behind a dead route."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.bind((host, 0))
        listener.listen(0)
        # With its backlog full the kernel drops what else comes.
        waiting = [socket.socket(family) for _ in range(2)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
        time.sleep(0.05)
        yield listener.getsockname()[:2]
        for each in waiting:
            each.close()
