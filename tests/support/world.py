"""A small world for fault tests: desks at the sandbox, workers, a producer, and an audit."""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import amqp
from kombu import Connection

from tests.chaos.checker import Asked, Findings, Told, check
from tests.support.producer import connect
from tests.support.venues import secret_of
from tests.support.worker import WorkerProcess, accounts_file
from venues.sandbox.client import BookOrder, SandboxClient, VenueRequest
from worker.amqp import topology

SYMBOLS = {
    "coinw": "BTC",
    "ztdx": "BTCUSDT",
    "kuna": "BTC_USDT",
    "binance": "BTCUSDT",
    "bybit": "BTCUSDT",
    "okx": "BTC-USDT-SWAP",
    "kraken_spot": "XBTUSD",
}
#: What accounts of a venue say of themselves, and of which product their orders are.
LINES = {
    "binance": ('options.product = "usdm"',),
    "bybit": ('options.category = "linear"',),
    "okx": ('api_passphrase_env = "OKX_PASSPHRASE"',),
}
PRODUCTS = {"binance": "usdm", "bybit": "linear"}
ENV = {"OKX_PASSPHRASE": "planted-passphrase"}
AUDIT = "audit"
EVENTS = "audit.events"
#: What a lost broker connection may raise.
LOST = (OSError, amqp.AMQPError, AttributeError)
MOST_TRIES = 120

_numbers = itertools.count(1)
_FIRST_IDS = {
    "coinw": 33308750270000000,
    "binance": 8_300_000_000,
    "okx": 680_800_019_749_900_000,
}


def new_id(venue: str) -> str:
    """Return an id that the venue could have given, never the same twice."""
    number = next(_numbers)
    if venue in _FIRST_IDS:
        return str(_FIRST_IDS[venue] + number)
    if venue == "kraken_spot":
        return f"OABCDE-12345-{number:06d}"
    return f"3fa42833-9508-4061-8d80-{number:012d}"


def _name(element: Any) -> str:
    """Return the id of an element of a job's orders; "" if it has none."""
    given = element.get("id") if isinstance(element, Mapping) else element
    return given if isinstance(given, str) and len(given) <= 100 else ""


def until_taken(do: Callable[..., None], *args: Any) -> None:
    """Ask something of the broker again until it does it: it may be away, or very busy."""
    last: BaseException | None = None
    for _ in range(MOST_TRIES):
        try:
            return do(*args)
        except LOST as error:
            last = error
            time.sleep(0.25)
    raise AssertionError(f"the broker took nothing: {last}")


@dataclass(frozen=True, slots=True)
class Desk:
    """One account: its name for jobs, and its key at the sandbox."""

    name: str
    venue: str

    @property
    def key(self) -> str:
        """Return the API key, easy to find wherever it should not be."""
        return f"planted-key-{self.name}"

    @property
    def secret(self) -> str:
        """Return the secret, as easy to find."""
        return secret_of(self.venue, self.name)


def order_of(desk: Desk, order_id: str) -> dict[str, Any]:
    """Return an order of a desk as the sandbox's book takes it."""
    named = {"venue": desk.venue, "api_key": desk.key, "id": order_id}
    product = PRODUCTS.get(desk.venue)
    return named | {"symbol": SYMBOLS[desk.venue]} | ({"product": product} if product else {})


@dataclass(slots=True)
class World:
    """One virtual host and its desks. Everything that goes in or comes out is kept."""

    url: str
    sandbox: SandboxClient
    folder: Path
    worker_url: str = ""  # where workers connect, if not straight to the broker
    desks: dict[str, Desk] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    events: list[Any] = field(default_factory=list)
    workers: list[WorkerProcess] = field(default_factory=list)
    _files: dict[str, dict[str, Any]] = field(default_factory=dict)
    _heard: set[tuple[str, bytes]] = field(default_factory=set)

    # -- setting the scene ---------------------------------------------------------------

    def desk(
        self,
        name: str,
        venue: str = "coinw",
        *lines: str,
        timeout_s: float = 5.0,
        base_url: str = "",
    ) -> Desk:
        """Open an account at the sandbox; `lines` are further TOML of it."""
        desk = Desk(name, venue)
        until_taken(self._declare, name)
        self.sandbox.add_account(venue, desk.key, desk.secret)
        self.desks[name] = desk
        self._files[name] = {
            "venue": venue,
            "base_url": base_url or self.sandbox.url,
            "key": desk.key,
            "secret": desk.secret,
            "extra": [f"timeout = {timeout_s}", *LINES.get(venue, ()), *lines],
        }
        return desk

    def _declare(self, account: str) -> None:
        with Connection(self.url) as connection:
            topology.declare(connection, [account], embedded=False)

    def seed(self, desk: Desk, count: int, **fields: Any) -> list[str]:
        """Put orders on a desk's book; return their ids."""
        ids = [new_id(desk.venue) for _ in range(count)]
        self.sandbox.seed([order_of(desk, order_id) | fields for order_id in ids])
        return ids

    def worker(self, name: str = "w1", *args: str) -> WorkerProcess:
        """Return a worker that serves every desk opened so far, not started yet."""
        env = accounts_file(self._files, self.folder / "cancel.toml") | ENV
        log = self.folder / f"{name}.log"
        worker = WorkerProcess(self.worker_url or self.url, env, log, name=name, args=args)
        self.workers.append(worker)
        return worker

    def audit(self) -> None:
        """Listen to every outcome from now on, in a queue that outlives the broker."""
        until_taken(self._declare_audit)

    def _declare_audit(self) -> None:
        with connect(self.url) as connection:
            channel = connection.channel()
            channel.exchange_declare(
                "cancel.outcomes", "topic", durable=True, auto_delete=False
            )
            quorum = {"x-queue-type": "quorum"}
            channel.queue_declare(AUDIT, durable=True, auto_delete=False, arguments=quorum)
            channel.queue_bind(AUDIT, "cancel.outcomes", "#")

    def watch(self) -> None:
        """Keep Celery's task events, as Flower would."""
        with connect(self.url) as connection:
            channel = connection.channel()
            channel.exchange_declare("celeryev", "topic", durable=True, auto_delete=False)
            channel.queue_declare(EVENTS, durable=True, auto_delete=False)
            channel.queue_bind(EVENTS, "celeryev", "#")

    # -- what goes in --------------------------------------------------------------------

    def send(
        self,
        desk: Desk,
        ids: Sequence[str | Mapping[str, Any]],
        *,
        job_id: str = "",
        priority: str = "routine",
        **fields: Any,
    ) -> str:
        """Publish a job and return its job_id."""
        job_id = job_id or f"{desk.name}-{next(_numbers)}"
        job = {"job_id": job_id, "account": desk.name, "orders": list(ids)} | fields
        job.setdefault("symbol", SYMBOLS[desk.venue])
        self.ask(desk, job_id, ids)
        self.publish(f"{priority}.{desk.name}", json.dumps(job).encode())
        return job_id

    def ask(self, desk: Desk, job_id: str, orders: Sequence[Any]) -> None:
        """Keep in mind what a job must be answered for: each id, and each place without one."""
        names = [_name(item) or f"orders[{place}]" for place, item in enumerate(orders)]
        self.asked += [Asked(job_id, desk.venue, name) for name in dict.fromkeys(names)]

    def publish(
        self,
        key: str | bytes,
        body: bytes,
        exchange: str = "cancel.jobs",
        **properties: Any,
    ) -> None:
        """Publish any bytes, again until they are confirmed: a producer does no less."""
        given = {"content_type": "application/json", "delivery_mode": 2} | properties
        until_taken(self._publish, key, amqp.Message(body, **given), exchange)

    def _publish(self, key: str | bytes, message: amqp.Message, exchange: str) -> None:
        with connect(self.url) as connection:
            connection.channel().basic_publish(message, exchange, key)

    # -- what comes out ------------------------------------------------------------------

    def hear(self, until: Callable[[], bool], timeout_s: float = 30.0) -> None:
        """Take outcomes in until something holds.

        Raises:
            AssertionError: it did not come to hold in time.
        """
        give_up = time.monotonic() + timeout_s
        while not until():
            left = give_up - time.monotonic()
            assert left > 0, self._missing()
            try:
                self._drain(until, give_up)
            except LOST:
                time.sleep(0.2)  # the broker is away, as some tests want it

    def _drain(self, until: Callable[[], bool], give_up: float) -> None:
        with connect(self.url) as connection:
            channel = connection.channel()
            channel.basic_consume(AUDIT, callback=lambda message: self._take(channel, message))
            while not until() and time.monotonic() < give_up:
                with contextlib.suppress(TimeoutError):
                    connection.drain_events(timeout=0.2)

    def _take(self, channel: Any, message: Any) -> None:
        message_id, body = message.properties["message_id"], message.body
        raw = body if isinstance(body, bytes) else body.encode()
        # The very same bytes again are the broker's or the publisher's doing, not an outcome.
        if (message_id, raw) not in self._heard:
            self._heard.add((message_id, raw))
            self.told.append(Told(message_id, json.loads(raw)))
        channel.basic_ack(message.delivery_tag)

    def _missing(self) -> str:
        ends = [worker.errors()[-1500:] for worker in self.workers[-2:]]
        return "\n".join([f"not in time; so far: {self.check().summary()}", *ends])

    def hear_all(self, timeout_s: float = 30.0) -> None:
        """Wait until every id that went in has come out."""
        self.hear(lambda: not self.unanswered(), timeout_s)

    def hear_job(self, job_id: str, timeout_s: float = 30.0) -> dict[str, dict[str, Any]]:
        """Wait for every id of a job; return its outcomes by id."""
        wanted = {one.id for one in self.asked if one.job_id == job_id}
        self.hear(lambda: wanted <= self.outcomes(job_id).keys(), timeout_s)
        return self.outcomes(job_id)

    def unanswered(self) -> set[str]:
        """Return the message ids that are still to come."""
        return {one.message_id for one in self.asked} - {one.message_id for one in self.told}

    def outcomes(self, job_id: str) -> dict[str, Any]:
        """Return the outcomes of a job heard so far, by id."""
        return {o.body["id"]: o.body for o in self.told if o.body["job_id"] == job_id}

    def check(self) -> Findings:
        """Compare all that came out with all that went in and with the book."""
        book = {(order.venue, order.id): order for order in self.sandbox.book()}
        return check(self.asked, self.told, lambda venue, name: book.get((venue, name)))

    def order(self, desk: Desk, order_id: str) -> BookOrder:
        """Return an order as it is on the book."""
        return self.sandbox.order(desk.venue, order_id)

    def requests(self, desk: Desk) -> list[VenueRequest]:
        """Return the venue requests of a desk."""
        return [one for one in self.sandbox.requests() if one.api_key == desk.key]

    def await_fault(self, timeout_s: float = 30.0) -> None:
        """Wait until a venue fault has fired, and the task of the ids that it met has begun."""
        give_up = time.monotonic() + timeout_s
        while not any(fault["fired"] for fault in self.sandbox.faults()):
            assert time.monotonic() < give_up, "no fault fired"
            time.sleep(0.05)
        time.sleep(0.5)  # a task starts up to a quarter of a second after its ids have left

    def lines(self, event: str, **having: Any) -> list[dict[str, Any]]:
        """Return the log lines of all workers that have an event and these keys."""
        return [
            line
            for worker in self.workers
            for line in worker.lines()
            if line["event"] == event and having.items() <= line.items()
        ]

    def await_lines(self, event: str, **having: Any) -> list[dict[str, Any]]:
        """Return the log lines that have these; the first may come just after its message."""
        give_up = time.monotonic() + 5.0
        while not (found := self.lines(event, **having)) and time.monotonic() < give_up:
            time.sleep(0.02)
        return found

    def queue(self, name: str) -> list[Any]:
        """Return the messages that lie in a queue, and leave them there."""
        found = []
        with connect(self.url) as connection:
            channel = connection.channel()
            channel.auto_decode = False  # bodies as they are
            while (message := channel.basic_get(name)) is not None:
                found.append(message)
        return found

    def close(self) -> None:
        """End what still runs."""
        for worker in self.workers:
            worker.kill()
