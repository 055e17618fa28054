"""Flower's settings; `celery -A worker flower` reads this file from the folder it starts in.

The environment (FLOWER_PORT, FLOWER_BASIC_AUTH="user:password", …) and the command line go
before what stands here.
"""

import ipaddress
import os
import re
import sys
from typing import Any

from tornado.options import options

#: Its /metrics and /healthcheck never ask for a password, so for this machine alone.
address = options.address or "127.0.0.1"
#: Nobody stops a worker or revokes a job from a browser, unless FLOWER_READ_ONLY=false.
read_only = os.environ.get("FLOWER_READ_ONLY", "true").lower() not in (
    "false",
    "0",
    "no",
    "off",
)
#: What a job does, how it went and how many ids ended how; never its arguments.
tasks_columns = "name,state,received,runtime,result,worker"
#: Tasks kept in memory, about 3 kB each.
max_tasks = 20_000
#: Seconds after which a worker that is gone leaves the page.
purge_offline_workers = 600


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


_locked = any(options.basic_auth or ()) or options.auth or options.unix_socket
if not _loopback(address) and not _locked:
    sys.stderr.write(
        f"flower: {address} is open to others; set FLOWER_BASIC_AUTH=user:password"
        " or listen on 127.0.0.1\n"
    )
    sys.exit(os.EX_CONFIG)
