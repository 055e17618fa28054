"""A private PostgreSQL server on loopback, started and stopped at will."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.support.rabbitmq import free_port

#: Debian keeps the server's programs of each version apart, and off the PATH.
PLACES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
MISSING = "PostgreSQL is missing: apt-get install postgresql"
_OPTIONS = "-c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"


def installed() -> bool:
    """Say whether a PostgreSQL server is installed on this machine."""
    return bool(PLACES) and (PLACES[-1] / "initdb").exists()


class PostgresServer:
    """One server with its own folder and port; data survive `stop` and `start`."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        self.port = free_port()
        self._owner = _owner()
        if self._owner is not None:
            os.chown(self.folder, self._owner.pw_uid, self._owner.pw_gid)
        self._run("initdb", "-U", "record", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")

    @property
    def url(self) -> str:
        """Return the address of the server's first database."""
        return f"postgresql://record@127.0.0.1:{self.port}/postgres"

    def start(self) -> PostgresServer:
        """Start it and wait until it takes connections."""
        log = str(self.folder / "log")
        self._run("pg_ctl", "-w", "-l", log, "-o", f"-p {self.port} {_OPTIONS}", "start")
        return self

    def stop(self) -> None:
        """End it, and with it every connection, at once."""
        self._run("pg_ctl", "-w", "-m", "immediate", "stop")

    def _run(self, program: str, *words: str) -> None:
        """Run a program as somebody who is not root: the server refuses root."""
        command = [str(PLACES[-1] / program), "-D", str(self.folder / "data"), *words]
        user = self._owner.pw_uid if self._owner else None
        group = self._owner.pw_gid if self._owner else None
        done = subprocess.run(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False,
            cwd=self.folder, user=user, group=group, extra_groups=[] if user else None,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr}")

    def remove(self) -> None:
        """End it and delete its folder."""
        if (self.folder / "data/postmaster.pid").exists():
            self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> PostgresServer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.remove()


def _owner() -> pwd.struct_passwd | None:
    """Return the package's own user if we are root, as the server will not run as root."""
    return pwd.getpwnam("postgres") if os.geteuid() == 0 else None
