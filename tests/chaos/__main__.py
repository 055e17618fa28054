"""`python -m tests.chaos`: kills workers and broker under load, then judges from outside."""

from __future__ import annotations

import argparse
import signal
import sys

from tests.chaos.storm import Storm
from tests.support.rabbitmq import RabbitNode, installed
from venues.sandbox.client import start_sandbox


def main() -> int:
    """Run once; return 0 if nothing was lost, false or secret, and no limit was broken."""
    # So that what was started is ended, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    asked = _arguments()
    if not installed():
        print("chaos: RabbitMQ is missing: apt-get install rabbitmq-server", file=sys.stderr)
        return 2
    with RabbitNode() as node, start_sandbox() as sandbox:
        storm = Storm(
            kills=asked.kills,
            broker_kills=asked.broker_kills,
            ids=asked.ids,
            seed=asked.seed,
            node=node,
            sandbox=sandbox,
        )
        findings = storm.blow()
        within = not storm.over_limit() and not sandbox.incidents()
        print(*storm.figures(), findings.summary(), sep="\n")
    for name in ("lost", "contradictory", "false", "unasked", "leaked"):
        for line in getattr(findings, name)[:20]:
            print(f"{name}: {line}")
    return 0 if findings.clean and within else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="deaths of workers")
    parser.add_argument("--broker-kills", type=int, default=10, help="deaths of the broker")
    parser.add_argument("--ids", type=int, default=10_000, help="ids to cancel")
    parser.add_argument("--seed", type=int, default=1, help="of all dice")
    parser.add_argument("--short", action="store_true", help="one minute's run")
    asked = parser.parse_args()
    if asked.short:
        asked.kills, asked.broker_kills, asked.ids = 12, 1, 600
    return asked


if __name__ == "__main__":
    sys.exit(main())
