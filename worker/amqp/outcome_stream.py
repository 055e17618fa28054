"""Finds what was already told of a job at the broker, so that its first words can stand.

A worker that dies after it told an outcome and before its job ended leaves the job to another
one, and that one may know less: a venue without a record no longer shows that the order was
open. Every outcome is therefore kept for a while in a stream of its account at the broker, and
whoever does a job that may have been begun before reads there what was told.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import structlog
from kombu import Connection

from worker.amqp.publisher import Letter, NotConfirmed, Publisher
from worker.amqp.topology import told_queue_name

#: Messages that the broker sends ahead; a stream demands a number.
_AHEAD = 1000
_ACK_EVERY = 250
#: A stream that gives nothing for so long (seconds) is asked once more.
_SILENCE_S = 10.0
_PAUSE_S = 1.0
#: Whoever waits for words that cannot be read tells its own after so long (seconds): a word
#: that may differ from an earlier one is better than none.
PATIENCE_S = 60.0


#: Bodies by their message ids, each once, in the order in which they came.
_Words = Mapping[str, Collection[bytes]]


@dataclass(frozen=True, slots=True, eq=False)
class _Wish:
    account: str
    message_ids: Collection[str]
    words: Future[list[bytes]] = field(default_factory=Future)


class Recall:
    """Reads streams of outcomes in a thread of its own; `ask` may be called from any thread."""

    def __init__(self, connect: Callable[[], Connection], publisher: Publisher) -> None:
        self._connect = connect
        self._publisher = publisher
        self._wishes: deque[_Wish] = deque()
        self._reader = ThreadPoolExecutor(1, "recall")
        self._open = True
        self._log = structlog.get_logger()

    def ask(self, account: str, message_ids: Collection[str]) -> Future[list[bytes]]:
        """Look for outcomes of an account, each once and as it was published.

        What is asked for at one time is sought in one reading. The future raises NotConfirmed
        where the worker stops before it could read: then nobody here may tell anything.
        """
        wish = _Wish(account, message_ids)
        self._wishes.append(wish)
        self._reader.submit(self._serve)
        return wish.words

    def close(self) -> None:
        """Read nothing more; who still waits cannot know what was told."""
        self._open = False
        self._reader.shutdown(wait=False, cancel_futures=True)

    # -- the thread ----------------------------------------------------------------------

    def _serve(self) -> None:
        wishes = [self._wishes.popleft() for _ in range(len(self._wishes))]
        for account in dict.fromkeys(wish.account for wish in wishes):
            of_account = [wish for wish in wishes if wish.account == account]
            try:
                self._answer(account, of_account)
            except NotConfirmed as error:
                for wish in of_account:
                    wish.words.set_exception(error)

    def _answer(self, account: str, wishes: Collection[_Wish]) -> None:
        found = self._words(account, {name for wish in wishes for name in wish.message_ids})
        for wish in wishes:
            wish.words.set_result([w for n in wish.message_ids for w in found.get(n, ())])

    def _words(self, account: str, wanted: Collection[str]) -> _Words:
        give_up = time.monotonic() + PATIENCE_S
        while self._open and time.monotonic() < give_up:
            try:
                return self._read(told_queue_name(account), wanted)
            except NotConfirmed:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, it may be gone in a moment
                self._log.warning("recall_fails", account=account, why=type(error).__name__)
                time.sleep(_PAUSE_S)
        if not self._open:
            raise NotConfirmed
        self._log.error("nothing_recalled", account=account)
        return {}

    def _read(self, queue: str, wanted: Collection[str]) -> _Words:
        """Return what was told until now."""
        end = str(uuid4())
        mark = Letter("", queue, b"", {"message_id": end})
        # By the way that outcomes go, so that it comes after all that is being told here.
        self._publisher.post(mark).result(_SILENCE_S)
        with self._connect() as connection:
            reading = _Reading(connection.channel(), end, wanted)
            reading.start(queue)
            while not reading.ended:
                connection.drain_events(timeout=_SILENCE_S)
        return reading.found


@dataclass(slots=True, eq=False)
class _Reading:
    """One way through a stream, from its beginning to a mark."""

    channel: Any
    end: str
    wanted: Collection[str]
    found: dict[str, dict[bytes, None]] = field(default_factory=dict)
    ended: bool = False

    def start(self, queue: str) -> None:
        self.channel.basic_qos(0, _AHEAD, False)
        arguments = {"x-stream-offset": "first"}
        self.channel.basic_consume(queue, callback=self._take, arguments=arguments)

    def _take(self, message: Any) -> None:
        name = message.properties.get("message_id")
        if name in self.wanted:
            self.found.setdefault(name, {})[bytes(message.body)] = None
        if message.delivery_tag % _ACK_EVERY == 0:
            self.channel.basic_ack(message.delivery_tag, multiple=True)
        self.ended = self.ended or name == self.end
