"""A private RabbitMQ node on loopback, started and killed at will."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests

#: Where the broker's programs are. Debian's wrappers of the same names in /usr/sbin change user
#: and folders.
BIN = Path(os.environ.get("RABBITMQ_BIN", "/usr/lib/rabbitmq/bin"))
SERVER = BIN / "rabbitmq-server"
CONTROL = BIN / "rabbitmqctl"
START_TIMEOUT_S = 240.0
#: A request that is given up while it makes a virtual host leaves one without its exchanges.
MANAGE_TIMEOUT_S = 60.0


def installed() -> bool:
    """Say whether a RabbitMQ server is installed on this machine."""
    return SERVER.exists() and shutil.which("epmd") is not None


def free_port() -> int:
    """Return a loopback port that nobody listens on now, and that no client is given later.

    Linux gives clients ports from 32768 on: one of those may be taken before it is used.
    """
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class RabbitNode:
    """One node with its own folder, ports and name; data survive `kill` and `start`."""

    def __init__(
        self, folder: Path | None = None, *, epmd_port: int | None = None, features: str = ""
    ) -> None:
        """Prepare; `features` are the only feature flags that are on, by default all."""
        self._features = features
        self.folder = folder or Path(tempfile.mkdtemp(prefix="rabbit-"))
        self.port, self.dist_port = free_port(), free_port()
        self.epmd_port = epmd_port or free_port()
        self.management_port = free_port()
        self.name = f"node{self.port}@localhost"
        self._process: subprocess.Popen[bytes] | None = None
        (self.folder / "enabled_plugins").write_text("[rabbitmq_management].\n")
        (self.folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.local = 127.0.0.1:{self.port}\n"
            "management.tcp.ip = 127.0.0.1\n"
            f"management.tcp.port = {self.management_port}\n"
            "vm_memory_high_watermark.relative = 0.6\n"
        )
        cookie = self.folder / ".erlang.cookie"
        cookie.write_text("sandboxcookie")
        cookie.chmod(0o400)

    @property
    def url(self) -> str:
        """Return the broker URL."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    @property
    def version(self) -> tuple[int, ...]:
        """Return the version of the running node, as in (3, 10, 8)."""
        said = self.manage("GET", "overview")["rabbitmq_version"]
        return tuple(int(part) for part in said.split("."))

    def vhost(self, name: str) -> str:
        """Make a virtual host, a broker of its own for those who use it; return its URL.

        It is there when the request returns, but not yet up on each node of a cluster.
        """
        path = quote(name, safe="")
        self.manage("PUT", f"vhosts/{path}")
        self.manage(
            "PUT", f"permissions/{path}/guest", {"configure": ".*", "write": ".*", "read": ".*"}
        )
        self._wait(f"virtual host {name}", lambda: self._up(name))
        return f"amqp://guest:guest@127.0.0.1:{self.port}/{name}"

    def user(self, name: str, url: str) -> str:
        """Make a user who may do all in a virtual host; return the URL as that user."""
        path = url.rpartition("/")[2]
        rights = {"configure": ".*", "write": ".*", "read": ".*"}
        self.manage("PUT", f"users/{name}", {"password": name, "tags": ""})
        self.manage("PUT", f"permissions/{path}/{name}", rights)
        return url.replace("guest:guest", f"{name}:{name}")

    def _up(self, vhost: str) -> bool:
        """Ask once more for it on the nodes where it is down: one may have missed the start."""
        path = f"vhosts/{quote(vhost, safe='')}"
        # RabbitMQ 4.3 says [] until the first node has it.
        states = dict(self.manage("GET", path)["cluster_state"])
        down = self._running() - {name for name, state in states.items() if state == "running"}
        for node in down:
            self.manage("POST", f"{path}/start/{node}")
        return not down

    def wait_for_nodes(self, count: int) -> None:
        """Wait until this node takes so many of its cluster for running.

        A node takes connections a little earlier; a virtual host made meanwhile is down on it.
        """
        self._wait(f"cluster of {count} nodes", lambda: len(self._running()) == count)

    def _running(self) -> set[str]:
        return {node["name"] for node in self.manage("GET", "nodes") if node["running"]}

    def _wait(self, what: str, came: Callable[[], bool]) -> None:
        give_up = time.monotonic() + START_TIMEOUT_S
        while not came():
            if time.monotonic() > give_up:
                raise RuntimeError(f"{what} did not start:\n{self.log_end()}")
            time.sleep(0.1)

    def policy(self, vhost: str, pattern: str, **definition: Any) -> None:
        """Bend the queues of a virtual host whose names fit a pattern."""
        body = {"pattern": pattern, "definition": definition, "apply-to": "queues"}
        self.manage("PUT", f"policies/{quote(vhost, safe='')}/bent", body)

    def manage(self, method: str, path: str, body: Any = None) -> Any:
        """Call the management API, which listens a little later than the node itself."""
        give_up = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                reply = requests.request(
                    method,
                    f"{self.management_url}/api/{path}",
                    json=body,
                    auth=("guest", "guest"),
                    timeout=MANAGE_TIMEOUT_S,
                )
                reply.raise_for_status()
                return reply.json() if reply.content else None
            except requests.RequestException:
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.1)

    @property
    def management_url(self) -> str:
        """Return the management API's base URL (user and password guest)."""
        return f"http://127.0.0.1:{self.management_port}"

    def _env(self) -> dict[str, str]:
        folder = str(self.folder)
        flags = {"RABBITMQ_FEATURE_FLAGS": self._features} if self._features else {}
        return flags | {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": folder,
            "LANG": "C.UTF-8",
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_DIST_PORT": str(self.dist_port),
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self.epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_MNESIA_BASE": f"{folder}/data",
            "RABBITMQ_LOG_BASE": f"{folder}/log",
            "RABBITMQ_PID_FILE": f"{folder}/pid",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/enabled_plugins",
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+sbwt none +sbwtdcpu none +sbwtdio none",
        }

    def start(self) -> RabbitNode:
        """Start the node and wait until it takes connections.

        Raises:
            RuntimeError: it ended, or did not listen in time; with the end of its log.
        """
        log = (self.folder / "start.log").open("ab")
        self._process = subprocess.Popen(
            [str(SERVER)], env=self._env(), stdout=log, stderr=log, start_new_session=True
        )
        give_up = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < give_up and self._process.poll() is None:
            if self._answers():
                return self
            time.sleep(0.1)
        raise RuntimeError(f"RabbitMQ did not start:\n{self.log_end()}")

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as probe:
                probe.settimeout(2)
                probe.sendall(b"AMQP\x00\x00\x09\x01")
                return bool(probe.recv(1))
        except OSError:
            return False

    def log_end(self) -> str:
        """Return the last lines that the node wrote."""
        return (self.folder / "start.log").read_text(errors="replace")[-2000:]

    def control(self, *words: str, timeout_s: float = 60.0) -> str:
        """Run rabbitmqctl against the node and return what it prints."""
        done = subprocess.run(
            [str(CONTROL), "-n", self.name, *words],
            env=self._env(), capture_output=True, text=True, timeout=timeout_s, check=True,
        )  # fmt: skip
        return done.stdout

    def join(self, other: RabbitNode) -> None:
        """Become a node of another one's cluster at the start; both use one port mapper."""
        with (self.folder / "rabbitmq.conf").open("a") as config:
            config.write(
                "cluster_formation.peer_discovery_backend = classic_config\n"
                f"cluster_formation.classic_config.nodes.1 = {other.name}\n"
                f"cluster_formation.classic_config.nodes.2 = {self.name}\n"
            )

    def kill(self) -> None:
        """End the node at once, as a power cut would."""
        self._signal(signal.SIGKILL)

    def stop(self) -> None:
        """End the node in order."""
        self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        try:
            os.killpg(self._process.pid, number)
            self._process.wait(60)
        except ProcessLookupError:
            pass
        self._process = None

    def remove(self) -> None:
        """End the node and its port mapper, and delete its folder."""
        self.kill()
        env = self._env()
        # It refuses for as long as it takes the killed node for alive.
        for _ in range(50):
            ended = subprocess.run(["epmd", "-kill"], env=env, capture_output=True, check=False)
            if b"living nodes" not in ended.stdout + ended.stderr:
                break
            time.sleep(0.1)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> RabbitNode:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.remove()
