"""The stream of pauses is read to a mark, then followed; who began last is heard alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any

import amqp
import pytest

from worker.amqp.pause_stream import MESSAGE_BYTES, PauseStream, StreamMessage

READ_S = 5.0


class Channel:
    """A channel to a broker whose one queue is the stream."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.came: SimpleQueue[amqp.Message] = SimpleQueue()

    def basic_qos(self, *_: Any) -> None:
        """Take any prefetch."""

    def basic_ack(self, *_: Any, **__: Any) -> None:
        """Forget nothing: it is a stream."""

    def basic_consume(
        self, queue: str, callback: Callable[[Any], None], arguments: dict[str, Any]
    ) -> None:
        assert (queue, arguments) == ("cancel.pauses", {"x-stream-offset": "first"})
        self.take = callback
        self._broker.attach(self)

    def prepare_message(self, body: bytes, properties: dict[str, Any]) -> amqp.Message:
        return amqp.Message(body, **properties)

    def basic_publish(self, message: amqp.Message, exchange: str, key: str) -> None:
        assert (exchange, key) == ("cancel.pauses", "")
        if not self._broker.silent:
            self._broker.publish(message)


class Broker:
    """Keeps a stream, and makes connections to it; the first `fails` of them are refused."""

    def __init__(self, fails: int = 0) -> None:
        self.fails = fails
        self.silent = False  # takes no marks
        self._kept: list[amqp.Message] = []
        self._channels: list[Channel] = []

    def publish(self, message: amqp.Message) -> None:
        message.delivery_info = {"delivery_tag": len(self._kept) + 1}
        self._kept.append(message)
        for channel in self._channels:
            channel.came.put(message)

    def say(self, body: bytes) -> None:
        self.publish(amqp.Message(body))

    def attach(self, channel: Channel) -> None:
        for message in self._kept:
            channel.came.put(message)
        self._channels.append(channel)

    def connect(self) -> Any:
        if self.fails:
            self.fails -= 1
            raise amqp.AccessRefused("not yet")
        return Connection(self)


class Connection:
    """A connection with one channel."""

    heartbeat: int

    def __init__(self, broker: Broker) -> None:
        self._channel = Channel(broker)

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        """Close nothing."""

    def channel(self) -> Channel:
        return self._channel

    def heartbeat_check(self) -> None:
        """Be alive."""

    def drain_events(self, timeout: float) -> None:
        try:
            message = self._channel.came.get(timeout=timeout)
        except Empty:
            raise TimeoutError from None
        self._channel.take(message)


class Heard:
    """What a worker is handed."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[bytes], bool]] = []
        self.threads: set[int] = set()

    def take(self, messages: Sequence[StreamMessage], anew: bool) -> None:
        self.threads.add(threading.get_ident())
        self.calls.append(([one.body for one in messages], anew))

    def await_call(self, count: int) -> tuple[list[bytes], bool]:
        give_up = time.monotonic() + READ_S
        while len(self.calls) < count:
            assert time.monotonic() < give_up, self.calls
            time.sleep(0.01)
        return self.calls[count - 1]


def test_all_that_is_there_comes_at_once_and_then_each_word() -> None:
    broker, heard = Broker(), Heard()
    broker.say(b"1")
    broker.say(b"2")
    stream = PauseStream(broker.connect, heard.take)

    assert stream.read_anew(READ_S)
    assert heard.calls == [([b"1", b"2", b""], True)]

    broker.say(b"3")
    assert heard.await_call(2) == ([b"3"], False)
    stream.close()


def test_one_that_is_not_read_to_its_end_in_time_says_so_and_is_taken_later() -> None:
    broker, heard = Broker(), Heard()
    broker.silent = True
    broker.say(b"1")
    stream = PauseStream(broker.connect, heard.take)

    assert not stream.read_anew(0.1)
    assert heard.calls == []

    broker.silent = False
    assert stream.read_anew(READ_S)
    assert heard.calls == [([b"1", b""], True)]
    stream.close()


def test_a_broker_that_refuses_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.amqp.pause_stream._AGAIN_S", 0.01)
    broker, heard = Broker(fails=3), Heard()
    stream = PauseStream(broker.connect, heard.take)

    assert stream.read_anew(READ_S)
    assert broker.fails == 0
    stream.close()


def test_who_began_last_is_heard_alone() -> None:
    broker, heard = Broker(), Heard()
    stream = PauseStream(broker.connect, heard.take)
    assert stream.read_anew(READ_S)
    assert stream.read_anew(READ_S)

    broker.say(b"1")

    assert heard.await_call(3) == ([b"1"], False)
    time.sleep(0.05)
    assert len(heard.calls) == 3
    stream.close()
    broker.say(b"2")
    time.sleep(0.05)
    assert len(heard.calls) == 3


def test_each_message_says_where_in_the_stream_it_ends() -> None:
    """A mark counts, too: so a worker sees how soon a word will be dropped."""
    broker, ends = Broker(), list[int]()
    broker.say(b"12345")
    broker.say(b"")
    broker.say(b"1")
    stream = PauseStream(broker.connect, lambda found, _: ends.extend(one.end for one in found))

    assert stream.read_anew(READ_S)
    stream.close()
    assert ends == [MESSAGE_BYTES + 5, 3 * MESSAGE_BYTES + 6, 4 * MESSAGE_BYTES + 6]
