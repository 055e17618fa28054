"""The kinds of what the hunt found, before a real worker: real HTTP, a real broker, real time.

`python -m tests.worlds.wire` plays them all at once, one account each, in less than a minute.
With `--worker FOLDER` the worker of another checkout is played, be it an older one: the broker
and the contract are all that it has in common with this one.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

from tests.support.producer import Outcomes, send
from tests.support.rabbitmq import RabbitNode
from tests.support.worker import ROOT, WorkerProcess, accounts_file
from tests.worlds.book import Book
from tests.worlds.fake import Fake
from tests.worlds.fakes import FAKES
from tests.worlds.law import Find, finds
from tests.worlds.plan import QUANTITY, Ask, Behaviours, Change, JobPlan, OrderPlan, World
from tests.worlds.play import START_S, Told, order_json
from venues import all_venues
from venues.base import HttpRequest
from venues.words import CancelOutcome, CancelStatus, IdKind, OrdType

_UUID, _COINW_ID = "3fa42833-9508-4061-8d80-b68563dcd5%02d", "333087502708802%02d"
#: Jobs end by themselves; then the book is watched for as long as the law says.
_PATIENCE_S, _AFTER_S = 60.0, 10.5
_FIRED = Change(0.2, "fire")


def _at(
    venue: str, *orders: OrderPlan, symbol: str = "", kill: bool = True, **ways: Any
) -> World:
    asks = tuple(
        Ask(
            order.client_id or order.venue_id,
            symbol=symbol or order.symbol,
            ord_type=order.ord_type,
        )
        for order in orders
    )
    job = JobPlan("j", asks, kill=kill, deadline_s=30.0)
    return World(7, venue, orders, (job,), Behaviours(**ways))


def _ztdx(number: int = 1, *changes: Change, **said: Any) -> OrderPlan:
    return OrderPlan(_UUID % number, "BTCUSDT", changes=changes, **said)


def _coinw(number: int = 1, *changes: Change, **said: Any) -> OrderPlan:
    return OrderPlan(_COINW_ID % number, "BTC", changes=changes, **said)


#: What was found first at each kind, as small as it gets.
KINDS: Mapping[str, World] = {
    "1 a client id that looks like a venue id": _at(
        "ztdx", _ztdx(client_id="7d4f1c9a-2b6e-4a35-9c80-1f2e3d4c5b6a")
    ),
    "2 another symbol than stated": _at("ztdx", _ztdx(), symbol="ETHUSDT", symbol_decides=True),
    "3 a list that shrinks while it is read": _at(
        "coinw",
        *(_coinw(number, ord_type="trigger", swallowed=1) for number in range(10, 22)),
        resting=196,
        leaves_every_s=0.05,
        rtt_s=0.3,
    ),
    "4 an order that comes after its job": _at("ztdx", _ztdx(placed_s=1.5)),
    "5 reads behind the engine": _at(
        "ztdx", _ztdx(placed_s=-0.2, swallowed=1), read_lag_s=1.8, rtt_s=0.1
    ),
    "6 a record behind the lists": _at(
        "coinw",
        _coinw(1, Change(0.4, "fill", QUANTITY)),
        kill=False,
        record_lag_s=2.0,
        rtt_s=0.3,
    ),
    "7 lists of another form": _at(
        "coinw", _coinw(1, Change(-5.0, "cancel")), empty="missing", instrument_demanded=True
    ),
    "8 words in another spelling": _at("kuna", _ztdx(), words="upper"),
    "9 cancels that take their time": _at(
        "coinw", *(_coinw(number) for number in range(10, 70)), cancel_s=1.5
    ),
    "10 a fired trigger whose child rests": _at(
        "coinw", _coinw(1, _FIRED, ord_type="trigger", swallowed=1, child="rests")
    ),
    "11 a list that hides an order": _at("coinw", _coinw(hidden_s=(0.0, 3.0), swallowed=1)),
}


class Stage:
    """One world over HTTP; its clock stands at the start until `begin`."""

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.lock = threading.RLock()
        self._began = float("inf")
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._number = itertools.count()
        self.book = Book(world, START_S, self._later)
        self.fake: Fake = FAKES[world.venue](world, self.book, Random(world.seed))
        self.fake.key += str(number)  # as no two accounts may have one key
        self.told: list[Told] = []
        self.first_cancel: dict[str, float] = {}

    def begin(self) -> None:
        self._began = time.monotonic()

    @property
    def now(self) -> float:
        return START_S + max(0.0, time.monotonic() - self._began)

    def _later(self, when: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (when, next(self._number), do))

    def catch_up(self) -> float:
        """Let happen what is due, each at its time; return the time."""
        with self.lock:
            now = self.now
            while self._agenda and self._agenda[0][0] <= now:
                heapq.heappop(self._agenda)[2]()
            return now

    def serve(self, request: HttpRequest) -> tuple[int, bytes]:
        """Answer a request half a round trip after it came."""
        time.sleep(self.world.ways.rtt_s / 2)
        with self.lock:
            now = self.catch_up()
            before = {order_id: len(times) for order_id, times in self.fake.cancels.items()}
            raw = self.fake.serve(request, now)
            for order_id, times in self.fake.cancels.items():
                if len(times) > before.get(order_id, 0):
                    self.first_cancel.setdefault(order_id, now)
        time.sleep(self.world.ways.rtt_s / 2)
        return raw.status, raw.body.encode()

    def tell(self, outcome: Mapping[str, Any]) -> None:
        """Take an outcome in."""
        (job,) = self.world.jobs
        ask = next(ask for ask in job.asks if ask.id == outcome["id"])
        said = CancelOutcome(
            id=outcome["id"],
            kind=IdKind(outcome["kind"] or IdKind.VENUE),
            symbol=outcome["symbol"],
            ord_type=OrdType(outcome["ord_type"]),
            status=CancelStatus(outcome["status"]),
            reason=outcome["reason"],
            cum_qty=outcome.get("cum_qty", ""),
            text=outcome["text"],
        )
        self.told.append(Told(job, ask, said, self.now))

    def finds(self) -> list[Find]:
        """Return what is wrong, as the hunt's law has it."""
        self.catch_up()
        played = SimpleNamespace(
            world=self.world,
            book=self.book,
            fake=self.fake,
            told=self.told,
            venue=all_venues()[self.world.venue],
            first_cancel=self.first_cancel,
            crash="",
        )
        return finds(played)  # type: ignore[arg-type]


@contextmanager
def _served(stage: Stage) -> Iterator[str]:
    """Serve a world on a port of its own; give its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = HttpRequest(self.command, self.path, body, dict(self.headers.items()))
            status, said = stage.serve(request)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        do_GET = do_POST = do_DELETE = do_PUT = _any  # noqa: N815 - names of the library

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def play(worlds: Mapping[str, World], folder: Path = ROOT) -> dict[str, list[Find]]:
    """Play worlds before the worker of a checkout; return what is wrong in each."""
    stages = {name: Stage(world, n) for n, (name, world) in enumerate(worlds.items())}
    names = {f"kind-{n}": stage for n, stage in enumerate(stages.values())}
    with ExitStack() as stack:
        node = stack.enter_context(RabbitNode())
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="worlds-")))
        table = {
            name: {
                "venue": stage.world.venue,
                "base_url": stack.enter_context(_served(stage)),
                "key": stage.fake.key,
                "secret": stage.fake.secret,
            }
            for name, stage in names.items()
        }
        env = accounts_file(table, scratch / "accounts.toml")
        worker = WorkerProcess(node.url, env, scratch / "log", folder=folder)
        stack.callback(worker.kill)
        worker.start(ready="lane_owned")
        outcomes = Outcomes(node.url)
        stack.callback(outcomes.close)
        time.sleep(3.0)  # until every lane is owned
        for name, stage in names.items():
            stage.begin()
            send(node.url, [(f"{_priority(stage.world)}.{name}", _body(name, stage.world))])
        _listen(outcomes, names)
        time.sleep(_AFTER_S)
        return {name: stage.finds() for name, stage in stages.items()}


def _priority(world: World) -> str:
    return "kill" if world.jobs[0].kill else "routine"


def _body(account: str, world: World) -> bytes:
    (job,) = world.jobs
    until = datetime.now(UTC) + timedelta(seconds=job.deadline_s)
    message = {
        "job_id": account,
        "account": account,
        "deadline": until.isoformat(),
        "orders": [order_json(ask) for ask in job.asks],
    }
    return json.dumps(message).encode()


def _listen(outcomes: Outcomes, names: Mapping[str, Stage]) -> None:
    """Take in what is told, until all is, or nobody waits any more."""
    wanted = sum(len(job.asks) for stage in names.values() for job in stage.world.jobs)
    give_up, seen = time.monotonic() + _PATIENCE_S, 0
    while seen < wanted and time.monotonic() < give_up:
        heard = len(outcomes.found)
        try:
            outcomes.wait(heard + 1, 0.2)
        except AssertionError:
            continue
        for outcome in outcomes.found[seen:]:
            names[outcome["account"]].tell(outcome)
        seen = len(outcomes.found)


def main() -> int:
    """Print what is wrong at each kind; the exit code is 0 only if nothing is."""
    parser = argparse.ArgumentParser(prog="python -m tests.worlds.wire", description=__doc__)
    parser.add_argument("--worker", type=Path, default=ROOT, help="a checkout; else this one")
    found = play(KINDS, parser.parse_args().worker.resolve())
    for kind, wrong in found.items():
        said = "; ".join(f"{find.kind}: {find.text}" for find in wrong) or "-"
        print(f"{kind:42} {said[:200]}")
    return int(any(found.values()))


if __name__ == "__main__":
    sys.exit(main())
