"""Start the sandbox venues: `python -m venues.sandbox`."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
from pathlib import Path
from typing import Any

from .server import check_host, make_world, run


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m venues.sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address")
    parser.add_argument("--port", default=0, type=int, help="0 takes a free one")
    parser.add_argument("--config", type=Path, help="JSON: settings, accounts, orders, faults")
    return parser.parse_args(arguments)


def read_config(path: Path | None) -> dict[str, Any]:
    """Read the configuration file, if there is one."""
    config = json.loads(path.read_text("utf-8")) if path else {}
    unknown = set(config) - {"settings", "accounts", "orders", "faults"}
    if unknown:
        raise ValueError(f"{path} has no key {', '.join(sorted(unknown))}")
    return dict(config)


def main(arguments: list[str]) -> int:
    """Serve until told to stop; say in one line why not, if not."""
    options = parse(arguments)
    try:
        host = check_host(options.host)
        world = make_world(read_config(options.config))
        # Among 50,000 orders the collector paused for 100 ms, which looked like the worker's.
        young, middle, old = gc.get_threshold()
        gc.set_threshold(young, middle, 100 * old)
        asyncio.run(run(world, host, options.port))
    except (OSError, ValueError, TypeError) as error:
        sys.stderr.write(f"sandbox: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
