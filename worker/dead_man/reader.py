"""Reads the heartbeats of the accounts that this worker serves, and files the kills."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import uuid4

import structlog
from kombu import Connection

from worker.amqp.publisher import Publication, Publisher
from worker.amqp.topology import heartbeat_stream, heartbeat_stream_name
from worker.contract.heartbeat import read_heartbeat
from worker.contract.outcome import rfc_3339, utc_now
from worker.dead_man.kill import KILLED, job_id_of, kill_of, killed_of
from worker.dead_man.timer import marks_apart_s
from worker.dead_man.watch import Beat, Silent, Watch
from worker.settings import Account

#: A stream demands a prefetch count.
_PREFETCH = 1000
_ACK_EVERY = 250
#: How soon (seconds) the thread hears that a lane came, went, or the worker stops.
_POLL_S = 0.25
#: A connection on which nothing came for so long (seconds) while a mark is out is dead.
_DEAD_S = 15.0
_PAUSE_S = 1.0
#: The AMQP type of a mark.
_MARK = "mark"
#: Names that one log line has at most.
_MOST_NAMES = 50


class HeartbeatReader:
    """Watches over the producers of some accounts; `own` and `give_up` come from any thread."""

    def __init__(
        self,
        accounts: Mapping[str, Account],
        connect: Callable[[], Connection],
        publisher: Publisher,
        user: str,
        fired: Callable[[str, str], None],
        set_timer: Callable[[str, bool], None],
    ) -> None:
        """Prepare; `fired` is told venue and account of each kill, and has to be quick.

        So has `set_timer`: of an account that has the venue's own timer, whether to renew or
        to disarm it.
        """
        self._accounts = {n: account for n, account in accounts.items() if account.dead_man_s}
        self._connect = connect
        self._publisher = publisher
        self._user = user
        self._fired = fired
        self._set_timer = set_timer
        self._owned: frozenset[str] = frozenset()
        self._changed = threading.Condition()
        self._open = True
        self._thread: threading.Thread | None = None
        self._log = structlog.get_logger()

    def own(self, account: str) -> None:
        """Watch an account from now on, if it has the switch."""
        if account not in self._accounts:
            return
        with self._changed:
            self._owned |= {account}
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="heartbeats", daemon=True
                )
                self._thread.start()
            self._changed.notify()

    def give_up(self, account: str) -> None:
        """Another worker watches the account now, or will."""
        with self._changed:
            self._owned -= {account}

    def stop(self) -> None:
        """File nothing more: the next owner watches."""
        with self._changed:
            self._open, self._owned = False, frozenset()
            self._changed.notify()

    # -- the thread ----------------------------------------------------------------------

    def _run(self) -> None:
        while self._await_lane():
            try:
                with self._connect() as connection:
                    self._read(connection)
            except Exception as error:  # noqa: BLE001 - whatever it is, it may be gone in a moment
                why = type(error).__name__
                self._log.warning("heartbeats_unread", why=why, accounts=sorted(self._owned))
                time.sleep(_PAUSE_S)

    def _await_lane(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._owned or not self._open)
            return self._open

    def _read(self, connection: Connection) -> None:
        """Read until no lane is left, or the connection is lost."""
        readings: dict[str, _Reading] = {}
        while owned := self._owned:
            for name in readings.keys() - owned:
                readings.pop(name).channel.close()
            for name in owned - readings.keys():
                readings[name] = self._begin(connection, name)
            next_at = min(reading.turn(time.monotonic()) for reading in readings.values())
            try:
                wait_s = max(0.0, min(next_at - time.monotonic(), _POLL_S))
                connection.drain_events(timeout=wait_s or 0.001)
            except TimeoutError:
                continue

    def _begin(self, connection: Connection, name: str) -> _Reading:
        account, channel = self._accounts[name], connection.channel()
        reading = _Reading(
            account, channel, self._publisher, self._kill, self._keep_timer, self._log
        )
        heartbeat_stream(name)(channel).declare()
        channel.basic_qos(0, _PREFETCH, False)
        queue, arguments = heartbeat_stream_name(name), {"x-stream-offset": "first"}
        channel.basic_consume(queue, callback=reading.take, arguments=arguments)
        return reading

    def _kill(self, account: Account, silent: Sequence[Silent]) -> None:
        with self._changed:  # a lane that is given up meanwhile is the next owner's to watch
            if account.name not in self._owned:
                return
            kill = kill_of(account.name, silent, self._user)
            killed = killed_of(account.name, silent)
            self._publisher.publish(kill).add_done_callback(partial(self._filed, killed))
        self._log.error(
            "dead_man_fired",
            job_id=job_id_of(account.name, silent),
            account=account.name,
            venue=account.venue.name,
            dead_man_s=account.dead_man_s,
            producers=[
                {"producer": producer, "since": beat.since}
                for producer, beat in silent[:_MOST_NAMES]
            ],
        )
        self._fired(account.venue.name, account.name)

    def _keep_timer(self, account: Account, armed: bool) -> None:
        with self._changed:  # as above
            if account.timer_s and account.name in self._owned:
                self._set_timer(account.name, armed)

    def _filed(self, killed: Publication, filed: Future[None]) -> None:
        """Keep that it was filed. If it was not, the next owner finds the same silence."""
        if filed.exception() is None:
            self._publisher.publish(killed)


class _Reading:
    """One account's stream, from its first message on, over one connection."""

    def __init__(
        self,
        account: Account,
        channel: Any,
        publisher: Publisher,
        kill: Callable[[Account, Sequence[Silent]], None],
        keep_timer: Callable[[Account, bool], None],
        log: Any,
    ) -> None:
        self.channel = channel
        self._account = account
        self._publisher = publisher
        self._kill = kill
        self._keep_timer = keep_timer
        self._log = log.bind(account=account.name)
        self._watch = Watch(account.dead_man_s, marks_apart_s(account))
        self._mark = ""
        self._came_at = time.monotonic()
        self._is_told = False  # that a message was no heartbeat

    def turn(self, now: float) -> float:
        """Send a mark if it is time; return when it is next.

        Raises:
            TimeoutError: nothing comes any more.
        """
        if self._mark and now - self._came_at > _DEAD_S:
            raise TimeoutError
        if now >= self._watch.next_mark_at():
            self._mark, self._came_at = str(uuid4()), now
            self._watch.mark_sent(now)
            properties = {"type": _MARK, "message_id": self._mark}
            key = heartbeat_stream_name(self._account.name)
            self._publisher.publish(Publication("", key, b"", properties))
        return self._watch.next_mark_at()

    def take(self, message: Any) -> None:
        """Take a message off the stream."""
        self._came_at = now = time.monotonic()
        if message.delivery_tag % _ACK_EVERY == 0:
            self.channel.basic_ack(message.delivery_tag, multiple=True)
        if message.delivery_info["exchange"]:
            self._heartbeat(message, now)
        elif message.properties.get("type") == KILLED:
            self._watch.has_killed(_offsets(message.body))
        elif self._mark and message.properties.get("message_id") == self._mark:
            self._marked(now)

    def _marked(self, now: float) -> None:
        self._mark, before = "", self._watch.is_caught_up
        if silent := self._watch.mark_read(now):
            self._kill(self._account, silent)
        self._follow_timer()
        if not before:
            names = self._watch.producers[:_MOST_NAMES]
            self._log.info("dead_man_watches", producers=names)

    def _follow_timer(self) -> None:
        """Have the venue's timer renewed while somebody lives, and disarmed after all ended."""
        if self._watch.is_alive or self._watch.has_ended:
            self._keep_timer(self._account, self._watch.is_alive)

    def _heartbeat(self, message: Any, now: float) -> None:
        body = message.body
        found = read_heartbeat(body if isinstance(body, bytes) else str(body).encode())
        if found is None:
            if not self._is_told:
                self._log.warning("heartbeat_unreadable", size=len(body))
            self._is_told = True
            return
        tells = self._watch.is_caught_up
        if found.bye:
            if self._watch.signed_off(found.producer) and tells:
                self._log.info("producer_signed_off", producer=found.producer)
                self._follow_timer()
        elif self._watch.heard(found.producer, self._beat(message, now)) and tells:
            self._log.info("producer_begun", producer=found.producer)

    def _beat(self, message: Any, now: float) -> Beat:
        headers, stated = message.properties["application_headers"], _stated(message)
        since = rfc_3339(utc_now())
        if not self._watch.is_caught_up:
            since = stated or f"before {since}"
        return Beat(int(headers["x-stream-offset"]), now, since, stated)


def _stated(message: Any) -> str:
    """Return the time that a message states by its own producer's clock; "" if none."""
    with suppress(KeyError, TypeError, ValueError, OverflowError, OSError):
        return rfc_3339(datetime.fromtimestamp(message.properties["timestamp"], UTC))
    return ""


def _offsets(body: Any) -> dict[str, int]:
    """Return the heartbeats whose silence has killed; none where nobody can read which."""
    with suppress(ValueError, TypeError, AttributeError):
        return {str(name): int(offset) for name, offset in json.loads(body).items()}
    return {}
