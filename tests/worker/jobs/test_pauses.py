"""Words on accounts: the last one counts, copies of it change nothing, none is lost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from worker.amqp.pause_stream import StreamMessage
from worker.amqp.publisher import Publication
from worker.jobs.pauses import (
    RENEWED_AFTER,
    RENEWED_HEADER,
    Pauses,
    copy_of,
    to_renew,
    with_word,
    word_of,
)

OWN = "worker"


def message(
    action: str, account: str, end: int, name: str = "", **fields: Any
) -> StreamMessage:
    """Return a word on an account as an operator sends it."""
    user, headers = fields.pop("user", "ops"), fields.pop("headers", {})
    body = json.dumps({"action": action, "account": account} | fields).encode()
    return StreamMessage(end, body, name or f"m-{end}", user, headers)


def mark(end: int) -> StreamMessage:
    return StreamMessage(end, b"", "mark")


def copied(word: StreamMessage, end: int) -> StreamMessage:
    """Return a worker's copy of a word, as the broker hands it out."""
    sent = copy_of(word_of(word, OWN), OWN)
    return StreamMessage(
        end,
        sent.body,
        sent.properties["message_id"],
        sent.properties["user_id"],
        sent.headers,
    )


class Desk:
    """What a worker of two accounts does with the words that come."""

    def __init__(self) -> None:
        self.told: list[set[str]] = []
        self.published: list[Publication] = []
        self.owned = {"a"}
        self.pauses = Pauses(
            ["a", "b"],
            lambda names: self.told.append(set(names)),
            self.published.append,
            lambda name: name in self.owned,
            OWN,
        )
        self.pauses.doubt()

    def hears(self, *messages: StreamMessage, anew: bool = False) -> None:
        self.pauses.take(messages, anew)


def test_before_anything_is_known_every_account_counts_as_paused() -> None:
    desk = Desk()
    assert desk.told == [{"a", "b"}]
    assert desk.pauses.paused("a")
    assert desk.pauses.of("a") is None  # but nobody paused it

    desk.hears(message("pause", "a", 0, reason="why"), mark(1), anew=True)

    assert desk.told[-1] == {"a"}
    pause = desk.pauses.of("a")
    assert pause is not None
    assert (pause.reason, pause.sent_by) == ("why", "ops")


def test_the_last_word_counts_and_who_reads_anew_tells_no_state_in_between() -> None:
    desk = Desk()
    history = [
        message("pause", "a", 0),
        message("resume", "a", 1),
        message("pause", "b", 2),
        message("pause", "a", 3),
    ]
    desk.hears(*history, mark(4), anew=True)
    desk.hears(*history, mark(5), anew=True)

    assert desk.told == [{"a", "b"}]


def test_a_resume_frees_one_account_and_a_word_on_a_stranger_none() -> None:
    desk = Desk()
    desk.hears(message("pause", "a", 0), message("pause", "b", 1), mark(2), anew=True)
    desk.hears(message("resume", "b", 3))
    desk.hears(message("resume", "elsewhere", 4))

    assert desk.told == [{"a", "b"}, {"a"}]


def test_doubt_holds_all_until_the_words_are_known_anew() -> None:
    desk = Desk()
    desk.hears(message("pause", "a", 0), mark(1), anew=True)
    desk.pauses.doubt()
    assert desk.told[-1] == {"a", "b"}

    desk.hears(mark(2), anew=True)  # somebody deleted the stream
    assert desk.told[-1] == set()


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"action": "pause"}', b'{"action": "pause", "account": "a b"}']
)
def test_what_is_no_word_changes_nothing(body: bytes) -> None:
    desk = Desk()
    desk.hears(message("pause", "a", 0), StreamMessage(1, body), mark(2), anew=True)

    assert desk.told[-1] == {"a"}


# -- words that grow old -----------------------------------------------------------------


def test_a_pause_that_has_grown_old_is_published_once_more_as_it_was() -> None:
    desk = Desk()
    old = message("pause", "a", 0, requested_by="ops-1")
    of_another = message("pause", "b", 1)  # whose owner renews it
    desk.hears(old, of_another, mark(RENEWED_AFTER - 1), anew=True)
    assert desk.published == []

    desk.hears(mark(RENEWED_AFTER))
    desk.hears(mark(RENEWED_AFTER + 1))

    (copy,) = desk.published
    assert (copy.exchange, copy.body) == ("cancel.pauses", old.body)
    assert copy.headers[RENEWED_HEADER]


def test_a_copy_is_younger_and_says_who_sent_the_word() -> None:
    old = message("pause", "a", 0)
    words = with_word({}, word_of(old, OWN), OWN)
    copy = word_of(copied(old, 900), OWN)
    assert copy.sent_by == "ops"

    words = with_word(words, copy, OWN)

    assert not to_renew(words, RENEWED_AFTER + 500)
    assert words["a"].sent_by == "ops"
    (again,) = to_renew(words, RENEWED_AFTER + 900)
    assert copy_of(again, OWN).properties["message_id"] == "m-0"


def test_a_copy_that_comes_after_a_resume_pauses_nobody() -> None:
    desk = Desk()
    old = message("pause", "a", 0)
    desk.hears(old, message("resume", "a", 1), copied(old, 2), mark(3), anew=True)
    assert desk.told[-1] == set()

    desk.hears(message("pause", "a", 4))
    assert desk.told[-1] == {"a"}


def test_a_copy_of_an_older_word_makes_the_last_one_no_younger() -> None:
    first, last = message("pause", "a", 0), message("pause", "a", 5, reason="another")
    words = with_word({}, word_of(first, OWN), OWN)
    words = with_word(words, word_of(last, OWN), OWN)
    words = with_word(words, word_of(copied(first, 900), OWN), OWN)

    (due,) = to_renew(words, RENEWED_AFTER + 5)
    assert (due.reason, due.word) == ("another", last)


def test_a_copy_counts_where_the_stream_has_dropped_the_word() -> None:
    desk = Desk()
    desk.hears(copied(message("pause", "a", 0), 5000), mark(5001), anew=True)

    assert desk.told[-1] == {"a"}
    pause = desk.pauses.of("a")
    assert pause is not None
    assert pause.sent_by == "ops"


def test_nobody_but_a_worker_makes_copies() -> None:
    """A word of an operator with a worker's header is a word of that operator."""
    desk = Desk()
    forged = {RENEWED_HEADER: True, "x-cancel-sent-by": "somebody else"}
    desk.hears(
        message("resume", "a", 0), message("pause", "a", 1, headers=forged), mark(2), anew=True
    )

    pause = desk.pauses.of("a")
    assert pause is not None
    assert pause.sent_by == "ops"
