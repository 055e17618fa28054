"""Kills come first, then each account has its turn, and those of one keep their order."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kombu.asynchronous import Hub

from worker.consumer.dispatch import Dispatcher, FairQueue

#: Account, whether it is a kill, and its number.
Post = tuple[str, bool, int]
POSTS = st.lists(st.tuples(st.sampled_from("abc"), st.booleans())).map(
    lambda found: [(account, kill, number) for number, (account, kill) in enumerate(found)]
)


def filled(posts: list[Post]) -> FairQueue[Post]:
    queue: FairQueue[Post] = FairQueue()
    for post in posts:
        queue.put(post, (not post[1],), post[0])
    return queue


def drained(queue: FairQueue[Post]) -> list[Post]:
    taken: list[Post] = []
    while queue:
        taken.append(queue.take())
    return taken


def test_a_backlog_of_one_account_holds_up_no_other() -> None:
    posts = [*(("busy", False, n) for n in range(5)), ("calm", False, 5), ("busy", True, 6)]

    taken = [number for _, _, number in drained(filled(posts))]

    assert taken == [6, 0, 5, 1, 2, 3, 4]


def test_who_comes_again_waits_for_those_who_wait() -> None:
    queue = filled([("a", False, 0), ("b", False, 1), ("c", False, 2)])
    first = queue.take()
    queue.put(("a", False, 3), (True,), "a")

    assert [first[0], *(account for account, *_ in drained(queue))] == ["a", "b", "c", "a"]


@given(POSTS)
def test_each_comes_once_and_in_order(posts: list[Post]) -> None:
    taken = drained(filled(posts))

    assert sorted(taken, key=lambda post: post[2]) == posts
    assert [kill for _, kill, _ in taken] == sorted((post[1] for post in posts), reverse=True)
    for account in "abc":
        for kill in (True, False):
            numbers = [n for name, urgent, n in taken if (name, urgent) == (account, kill)]
            assert numbers == sorted(numbers)


def test_an_empty_one_has_nothing_to_give() -> None:
    with pytest.raises(ValueError, match="empty"):
        filled([]).take()


class Broker:
    """Stands for a client's connection: each look at it hands over the next message."""

    connected = False

    def __init__(self) -> None:
        self.coming: list[Callable[[], None]] = []

    def drain_events(self, timeout: float) -> None:
        if not self.coming:
            raise TimeoutError
        self.coming.pop(0)()


def never(_now: float) -> float:
    return math.inf


def test_all_is_read_before_anything_follows() -> None:
    broker, hub, done = Broker(), Hub(), list[str]()

    def follow_up(_now: float) -> float:
        done.append("follow")
        return math.inf

    dispatcher = Dispatcher(hub, broker, lambda: True, follow_up)

    def come(name: str, priority: str) -> None:
        dispatcher.read(lambda: done.append(f"read {name}"), priority, "a")

    broker.coming = [lambda: come("second", "routine"), lambda: come("third", "kill")]
    come("first", "routine")
    give_up = time.monotonic() + 5.0
    while len(done) < 4 and time.monotonic() < give_up:
        hub.run_once()

    assert done == ["read first", "read third", "read second", "follow"]


def test_it_knows_whether_more_of_a_lane_is_here() -> None:
    hub, seen = Hub(), list[tuple[bool, bool]]()
    dispatcher = Dispatcher(hub, Broker(), lambda: True, never)

    def look() -> None:
        seen.append((dispatcher.has_more("routine", "a"), dispatcher.has_more("kill", "a")))

    for account in "aab":
        dispatcher.read(look, "routine", account)
    give_up = time.monotonic() + 5.0
    while len(seen) < 3 and time.monotonic() < give_up:
        hub.run_once()

    assert seen == [(True, False), (True, False), (False, False)]


def test_what_follows_later_is_followed_up_once_more() -> None:
    hub, done = Hub(), list[float]()

    def follow_up(now: float) -> float:
        done.append(now)
        return now + 0.02 if len(done) == 1 else math.inf

    Dispatcher(hub, Broker(), lambda: True, follow_up).read(lambda: None, "kill", "a")
    give_up = time.monotonic() + 5.0
    while len(done) < 2 and time.monotonic() < give_up:
        hub.run_once()

    assert len(done) == 2
    assert done[1] - done[0] >= 0.02


def test_nothing_is_done_once_the_connection_is_lost() -> None:
    hub, done = Hub(), list[str]()
    dispatcher = Dispatcher(hub, Broker(), lambda: False, never)
    dispatcher.read(lambda: done.append("read"), "kill", "a")
    hub.run_once()

    assert done == []


def test_nothing_is_done_while_somebody_waits_for_the_broker() -> None:
    """That is: inside the call that hands a message over. The event loop does it."""
    hub, done = Hub(), list[str]()
    dispatcher = Dispatcher(hub, Broker(), lambda: True, never)
    dispatcher.read(lambda: done.append("read"), "kill", "a")
    assert done == []
    hub.run_once()

    assert done == ["read"]


def test_without_an_event_loop_each_action_is_run_at_once() -> None:
    done: list[str] = []

    def follow_up(_now: float) -> float:
        done.append("follow")
        return math.inf

    dispatcher = Dispatcher(None, Broker(), lambda: True, follow_up)
    dispatcher.read(lambda: done.append("read"), "kill", "a")

    assert done == ["read", "follow"]
