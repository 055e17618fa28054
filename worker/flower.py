"""Flower's settings, and what keeps its page from strangers wherever it is started."""

from __future__ import annotations

import ipaddress
import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

SETTINGS: Mapping[str, Any] = {
    #: Nobody stops a worker or revokes a job from a browser, unless FLOWER_READ_ONLY=false.
    "read_only": True,
    #: What a job does, how it went and how many ids ended how; never its arguments.
    "tasks_columns": "name,state,received,runtime,result,worker",
    #: Tasks kept in memory, about 3 kB each.
    "max_tasks": 20_000,
    #: Seconds after which a worker that is gone leaves the page.
    "purge_offline_workers": 600,
}


def settings(options: Any, env: Mapping[str, str]) -> dict[str, Any]:
    """Return what Flower shall use; `options` hold what it was told so far.

    The environment (FLOWER_PORT, FLOWER_BASIC_AUTH="user:password", …) goes before this, and
    the command line before all.

    Raises:
        SystemExit: others could reach the page, and it has no login.
    """
    # Its /metrics and /healthcheck never ask for a password, so for this machine alone.
    options.address = options.address or "127.0.0.1"
    refuse_open(options)
    own = {
        name: value for name, value in SETTINGS.items() if f"FLOWER_{name.upper()}" not in env
    }
    return own | {"address": options.address, "format_task": format_task}


def refuse_open(options: Any) -> None:
    """End the start where others could reach the page, and it has no login.

    Raises:
        SystemExit: with 78.
    """
    locked = any(options.basic_auth or ()) or options.auth or options.unix_socket
    if locked or _loopback(options.address):
        return
    sys.stderr.write(
        f"flower: {options.address or 'every address'} is open to others; "
        "set FLOWER_BASIC_AUTH=user:password or listen on 127.0.0.1\n"
    )
    sys.exit(os.EX_CONFIG)


def protect(options: Any, words: Iterable[str], env: Mapping[str, str]) -> None:
    """Settle a Flower whose options are read, before it listens.

    `words` are its part of the command line. Flower reads its file from the folder in which it
    is started; without one it takes the settings above, with one it must be as safe.

    Raises:
        SystemExit: others could reach the page, and it has no login.
    """
    if Path(options.conf).exists():
        refuse_open(options)
        return
    given = {word.lstrip("-").partition("=")[0].replace("-", "_") for word in words}
    for name, value in settings(options, env).items():
        if name not in given:
            setattr(options, name, value)


def format_task(task: Any) -> Any:
    """Show a task's counts as people say them: 15 canceled, 3 filled."""
    counts = re.findall(r"'(\w+)': (\d+)", str(task.result))
    if counts:
        counts.sort(key=lambda found: -int(found[1]))
        task.result = ", ".join(f"{count} {status}" for status, count in counts)
    return task


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
