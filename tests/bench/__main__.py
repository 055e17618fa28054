"""Runs the bench: `python -m tests.bench`, or `--only NAME` of it, or `--quick`."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from rich.console import Console

from tests.bench import against, latency, load, pace, report, scopes
from tests.bench.bounds import Limits
from tests.bench.calm import Case, Measured, measure, told
from tests.bench.stage import Market
from tests.bench.unlimited import unlimited
from tests.support.rabbitmq import installed

#: Weight of an address is all that Binance limits; so many requests a second are our choice.
BINANCE = Market("binance", "BTCUSDT", ('options.product = "usdm"',))
BINANCE_LIMITS = Limits(tokens=50, window_s=1.0, batch=10)
#: Bybit counts orders of spot, not requests. Its ids have the shape of client ids, too.
BYBIT = Market(
    "bybit",
    "BTCUSDT",
    ('options.category = "spot"',),
    fields={"product": "spot"},
    kind={"kind": "venue_order_id"},
)
BYBIT_LIMITS = Limits(tokens=20, window_s=1.0, batch=10, by_id=True)
#: OKX counts orders of an instrument: 300 in 2 s. Its passphrase may be any at the sandbox.
OKX = Market(
    "okx",
    "BTC-USDT-SWAP",
    ('api_passphrase_env = "OKX_1000_SECRET"',),
    kind={"kind": "venue_order_id"},
)
OKX_LIMITS = Limits(tokens=300, window_s=2.0, batch=20, by_id=True)

CASES: dict[str, Case] = {
    "idle": partial(latency.idle, samples=240),
    "routine-200": partial(pace.routine, ids=200),
    "routine-1000": partial(pace.routine, ids=1000),
    "kill-200": partial(pace.kill, ids=200),
    "kill-1000": partial(pace.kill, ids=1000),
    "merge-1000": partial(pace.merge, ids=1000),
    "per-id": partial(against.per_id, ids=40),
    "loop-200": partial(against.chunks, ids=200),
    "loop-1000": partial(against.chunks, ids=1000),
    "many": partial(load.many, accounts=40, ids=500, plays=3),
    "backlog": partial(latency.backlog, waiting=50_000, samples=240, bulks=3),
    "unlimited": partial(unlimited, ids=10_000, peer_ids=4_000),
    "memory": partial(load.memory, ids=100_000, per_job=10_000),
    "memory-1": partial(load.memory, ids=100_000, per_job=1, most_kib=2.0),
    "routine-5000": partial(pace.routine, ids=5000),
    "merge-5000": partial(pace.merge, ids=5000),
    "merge-kill-3000": partial(pace.merge, ids=3000, kill=True),
    "merge-kill-3000-record": partial(pace.merge, ids=3000, kill=True, old_rows=5000),
    "many-merge": partial(load.many_merge, accounts=40, ids=200),
    "scope-1000": partial(scopes.kill, ids=1000),
    "scope-all-1000": partial(scopes.swept, market=BINANCE, ids=1000),
    "scope-many": partial(scopes.many, accounts=40, ids=200),
    "scope-placed": partial(scopes.placed_meanwhile, ids=200),
    "binance-1000": partial(pace.elsewhere, market=BINANCE, limits=BINANCE_LIMITS, ids=1000),
    "bybit-1000": partial(pace.elsewhere, market=BYBIT, limits=BYBIT_LIMITS, ids=1000),
    "okx-1000": partial(pace.elsewhere, market=OKX, limits=OKX_LIMITS, ids=1000),
}
#: Small forms of all that takes long; their figures are no proof.
QUICK: dict[str, Case] = {
    "idle": partial(latency.idle, samples=48),
    "routine-200": partial(pace.routine, ids=200),
    "kill-200": partial(pace.kill, ids=200),
    "merge-200": partial(pace.merge, ids=200),
    "per-id": partial(against.per_id, ids=20),
    "loop-200": partial(against.chunks, ids=200),
    "many": partial(load.many, accounts=10, ids=100, plays=1),
    "backlog": partial(latency.backlog, waiting=2_000, samples=10, bulks=1),
    "unlimited": partial(unlimited, ids=1_000, peer_ids=500),
    "memory": partial(load.memory, ids=10_000, per_job=1_000),
    "memory-1": partial(load.memory, ids=10_000, per_job=1, most_kib=2.0),
    "merge-kill-200-record": partial(pace.merge, ids=200, kill=True, old_rows=500),
    "many-merge": partial(load.many_merge, accounts=10, ids=40),
    "scope-200": partial(scopes.kill, ids=200),
}


def main(arguments: list[str]) -> int:
    """Run what is asked for; the exit code is 0 only if every figure is as it must be.

    The quick form is judged by its throttled answers alone: its ratios are no proof.
    """
    options = _options(arguments)
    if not installed():
        print("bench: RabbitMQ is missing: apt-get install rabbitmq-server", file=sys.stderr)
        return 2
    cases = QUICK if options.quick else CASES
    chosen = {name: case for name, case in cases.items() if name in (options.only or cases)}
    console, before = Console(width=150), report.machine()
    tried: list[Measured] = []
    for name, case in chosen.items():
        console.print(f"[bold]{name}[/bold]")
        tried.append(measure(name, case))
        report.show(console, tried[-1].findings.figures)
        console.print(f"stolen by the host, {told(tried[-1])}")
    if not (options.only or options.quick):
        report.write(Path(__file__).parent, tried, before, report.machine())
    figures = [figure for found in tried for figure in found.findings.figures]
    judged = [f for f in figures if f.unit == "answers" or not options.quick]
    return int(any(figure.reached is False for figure in judged))


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    names = sorted({*CASES, *QUICK})
    parser.add_argument("--only", action="append", choices=names, help="one case; repeatable")
    parser.add_argument("--quick", action="store_true", help="small forms, two minutes")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
