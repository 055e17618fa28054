"""Finds the outcomes that were published earlier for a job, so that they can stand.

A worker may die after it published an outcome and before it acknowledged the job. The next
worker may know less: a venue without a record no longer shows that the order was open. So each
account has a stream at the broker that keeps its newest outcomes, and a job that may have been
started before is looked up there.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import uuid4

import structlog
from kombu import Connection

from worker.amqp.publisher import NotConfirmed, Publication, Publisher
from worker.amqp.topology import outcome_stream_name

#: A stream demands a prefetch count.
_PREFETCH = 1000
_ACK_EVERY = 250
#: A stream that sends nothing for this long (seconds) is read anew.
_SILENCE_S = 10.0
_PAUSE_S = 1.0
#: A search gives up after this long (seconds) and finds nothing: an outcome that may differ
#: from an earlier one is better than none.
PATIENCE_S = 60.0


#: Bodies by message id, each once, in the order in which they were published.
_Found = Mapping[str, Collection[bytes]]


@dataclass(frozen=True, slots=True, eq=False)
class _Search:
    account: str
    message_ids: Collection[str]
    prefix: str = ""  # in place of message ids: what those begin with
    bodies: Future[list[bytes]] = field(default_factory=Future)


class _Wanted(NamedTuple):
    message_ids: frozenset[str]
    prefixes: tuple[str, ...]

    def has(self, name: str) -> bool:
        return name in self.message_ids or name.startswith(self.prefixes)


class OutcomeStream:
    """Reads streams of outcomes in its own thread; `find` may be called from any thread."""

    def __init__(self, connect: Callable[[], Connection], publisher: Publisher) -> None:
        self._connect = connect
        self._publisher = publisher
        self._searches: deque[_Search] = deque()
        self._reader = ThreadPoolExecutor(1, "recall")
        self._open = True
        self._log = structlog.get_logger()

    def find(
        self, account: str, message_ids: Collection[str] = (), *, prefix: str = ""
    ) -> Future[list[bytes]]:
        """Find an account's outcomes by their message ids; return each body once.

        A `prefix` finds all whose message ids begin with it, perhaps of other jobs, too.

        Searches that wait at the same time share one reading of the stream. The future raises
        NotConfirmed where the worker stops before it could read: then this worker may publish
        no outcome of these ids.
        """
        search = _Search(account, message_ids, prefix)
        self._searches.append(search)
        self._reader.submit(self._serve)
        return search.bodies

    def close(self) -> None:
        """Read nothing more; searches under way end with NotConfirmed."""
        self._open = False
        self._reader.shutdown(wait=False, cancel_futures=True)

    # -- the thread ----------------------------------------------------------------------

    def _serve(self) -> None:
        searches = [self._searches.popleft() for _ in range(len(self._searches))]
        for account in dict.fromkeys(search.account for search in searches):
            of_account = [search for search in searches if search.account == account]
            try:
                self._answer(account, of_account)
            except NotConfirmed as error:
                for search in of_account:
                    search.bodies.set_exception(error)

    def _answer(self, account: str, searches: Collection[_Search]) -> None:
        wanted = _Wanted(
            frozenset(name for search in searches for name in search.message_ids),
            tuple(search.prefix for search in searches if search.prefix),
        )
        found = self._find(account, wanted)
        for search in searches:
            names: Collection[str] = search.message_ids
            if search.prefix:
                names = [name for name in found if name.startswith(search.prefix)]
            search.bodies.set_result([body for name in names for body in found.get(name, ())])

    def _find(self, account: str, wanted: _Wanted) -> _Found:
        give_up = time.monotonic() + PATIENCE_S
        while self._open and time.monotonic() < give_up:
            try:
                return self._read(outcome_stream_name(account), wanted)
            except NotConfirmed:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, it may be gone in a moment
                self._log.warning("recall_fails", account=account, why=type(error).__name__)
                time.sleep(_PAUSE_S)
        if not self._open:
            raise NotConfirmed
        self._log.error("nothing_recalled", account=account)
        return {}

    def _read(self, queue: str, wanted: _Wanted) -> _Found:
        """Return what the stream holds up to now."""
        end = str(uuid4())
        mark = Publication("", queue, b"", {"message_id": end})
        # By the publisher of the outcomes: the mark follows all that are in flight here.
        self._publisher.publish(mark).result(_SILENCE_S)
        with self._connect() as connection:
            reading = _Reading(connection.channel(), end, wanted)
            reading.start(queue)
            while not reading.ended:
                connection.drain_events(timeout=_SILENCE_S)
        return reading.found


@dataclass(slots=True, eq=False)
class _Reading:
    """One way through a stream, from its first message to a mark."""

    channel: Any
    end: str
    wanted: _Wanted
    found: dict[str, dict[bytes, None]] = field(default_factory=dict)
    ended: bool = False

    def start(self, queue: str) -> None:
        self.channel.basic_qos(0, _PREFETCH, False)
        arguments = {"x-stream-offset": "first"}
        self.channel.basic_consume(queue, callback=self._take, arguments=arguments)

    def _take(self, message: Any) -> None:
        name = message.properties.get("message_id")
        if name and self.wanted.has(name):
            self.found.setdefault(name, {})[bytes(message.body)] = None
        if message.delivery_tag % _ACK_EVERY == 0:
            self.channel.basic_ack(message.delivery_tag, multiple=True)
        self.ended = self.ended or name == self.end
