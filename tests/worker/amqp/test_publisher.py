"""Confirms: each message is settled once, by its own tag or by a later one."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kombu import Connection

from worker.amqp.publisher import Publication, Publisher, Unconfirmed, Unroutable


def publication(message_id: str = "", key: str = "key", exchange: str = "") -> Publication:
    return Publication(exchange, key, b"", {"message_id": message_id} if message_id else {})


def published(*publications: Publication) -> Unconfirmed:
    unconfirmed = Unconfirmed()
    for number, each in enumerate(publications, 1):
        assert unconfirmed.add(each) == number
    return unconfirmed


@pytest.mark.parametrize(
    ("tag", "multiple", "taken"),
    [
        (2, False, [1]),
        (2, True, [0, 1]),
        (3, True, [0, 1, 2]),
        (4, False, []),
        (4, True, [0, 1, 2]),
        (0, False, []),
    ],
)
def test_a_tag_stands_for_itself_or_for_all_before_it(
    tag: int, multiple: bool, taken: list[int]
) -> None:
    three = [publication() for _ in range(3)]
    unconfirmed = published(*three)

    assert unconfirmed.take(tag, multiple=multiple) == [three[at] for at in taken]
    assert unconfirmed.take_all() == [each for n, each in enumerate(three) if n not in taken]


@given(st.lists(st.tuples(st.integers(1, 12), st.booleans())))
def test_each_message_is_settled_once(confirms: list[tuple[int, bool]]) -> None:
    ten = [publication() for _ in range(10)]
    unconfirmed = published(*ten)
    settled = [
        each for tag, multiple in confirms for each in unconfirmed.take(tag, multiple=multiple)
    ]

    assert sorted(map(ten.index, [*settled, *unconfirmed.take_all()])) == list(range(10))
    assert len(unconfirmed) == 0


def test_the_oldest_is_the_one_published_first() -> None:
    first, second = publication(), publication()
    unconfirmed = published(first, second)
    assert unconfirmed.oldest() is first
    unconfirmed.take(1, multiple=False)

    assert unconfirmed.oldest() is second
    assert published().oldest() is None


def test_a_returned_message_is_known_by_exchange_key_and_id() -> None:
    here = publication("1")
    others = [
        publication("2"),
        publication("1", key="other"),
        publication("1", exchange="other"),
    ]
    unconfirmed = published(here, *others)
    unconfirmed.mark_returned("", "key", "1")

    assert [each.returned for each in (here, *others)] == [True, False, False, False]


def test_a_message_without_an_id_is_known_by_exchange_and_key() -> None:
    nameless, named = publication(), publication("1")
    published(nameless, named).mark_returned("", "key", None)

    assert (nameless.returned, named.returned) == (True, False)


def test_a_confirmed_message_is_done() -> None:
    kept, lost = publication("1"), publication("2")
    unconfirmed = published(kept, lost)
    unconfirmed.mark_returned("", "key", "2")
    for each in unconfirmed.take(2, multiple=True):
        each.confirm()

    assert kept.done.result(0) is None
    with pytest.raises(Unroutable, match="key"):
        lost.done.result(0)


def test_it_is_told_for_how_long_the_oldest_message_waits() -> None:
    """Also while the broker is away, and the thread is busy with dialing it."""
    dialed = threading.Event()

    def connect() -> Connection:
        dialed.wait(10)
        return Connection("memory://")

    publisher = Publisher(connect)
    first, second = publication(key="waits"), publication(key="waits")
    before = publisher.waited_s(first.posted_at)
    for each in (first, second):
        publisher.publish(each)
    waited = publisher.waited_s(first.posted_at + 7.0)
    dialed.set()
    publisher.close()
    after = publisher.waited_s(first.posted_at + 9.0)

    assert (before, waited, after) == (0.0, 7.0, 0.0)


class DyingBroker:
    """A connection over which the first message is confirmed, and then nothing more comes."""

    def __init__(self) -> None:
        self.transport = SimpleNamespace(driver_type="amqp")
        self.connection = None
        self.events: dict[str, set[Any]] = {
            name: set() for name in ("basic_ack", "basic_nack", "basic_return")
        }

    def __enter__(self) -> DyingBroker:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def channel(self) -> DyingBroker:
        return self

    def confirm_select(self) -> None:
        """Agree."""

    def Producer(self, _channel: object, **_: object) -> Any:  # noqa: N802 - as kombu's
        return SimpleNamespace(publish=lambda *_, **__: None)

    def drain_events(self) -> None:
        for acknowledge in self.events["basic_ack"]:
            acknowledge(1, multiple=False)
        raise ConnectionError("it is gone")


def test_what_was_confirmed_before_the_connection_was_lost_is_done_at_once() -> None:
    """And is published no more: what was not is, once the broker is back."""
    gone, tries = threading.Event(), [DyingBroker()]

    def connect() -> Any:
        if tries:
            return tries.pop()
        gone.wait(10)
        return Connection("memory://")

    publisher = Publisher(connect)
    first, second = publication(key="one"), publication(key="two")
    publisher.publish(first)
    publisher.publish(second)

    assert first.done.result(5) is None
    assert not second.done.done()
    gone.set()
    assert second.done.result(5) is None
    publisher.close()
