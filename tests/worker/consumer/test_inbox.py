"""Kills come first, then each account has its turn, and those of one keep their order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.consumer.inbox import Inbox

#: Account, whether it is a kill, and its number.
Post = tuple[str, bool, int]
POSTS = st.lists(st.tuples(st.sampled_from("abc"), st.booleans())).map(
    lambda found: [(account, kill, number) for number, (account, kill) in enumerate(found)]
)


def filled(posts: list[Post]) -> Inbox[Post]:
    inbox: Inbox[Post] = Inbox()
    for post in posts:
        inbox.put(post, post[0], kill=post[1])
    return inbox


def drained(inbox: Inbox[Post]) -> list[Post]:
    taken: list[Post] = []
    while inbox:
        taken.append(inbox.take())
    return taken


def test_a_backlog_of_one_account_holds_up_no_other() -> None:
    posts = [*(("busy", False, n) for n in range(5)), ("calm", False, 5), ("busy", True, 6)]

    taken = [number for _, _, number in drained(filled(posts))]

    assert taken == [6, 0, 5, 1, 2, 3, 4]


def test_who_comes_again_waits_for_those_who_wait() -> None:
    inbox = filled([("a", False, 0), ("b", False, 1), ("c", False, 2)])
    first = inbox.take()
    inbox.put(("a", False, 3), "a", kill=False)

    assert [first[0], *(account for account, *_ in drained(inbox))] == ["a", "b", "c", "a"]


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
    with pytest.raises(StopIteration):
        filled([]).take()
