"""A word on an account: what is one, and in one sentence why another thing is none."""

from __future__ import annotations

import json

import pytest

from worker.contract.pause import MOST_BYTES, PauseMessage, read_pause


def test_a_word_is_read_as_it_was_sent_and_fields_of_tomorrow_are_not_read() -> None:
    said = {"action": "pause", "account": "desk-1", "reason": "drill", "requested_by": "ops"}
    word = read_pause(json.dumps(said | {"of_tomorrow": 1}).encode())

    assert word == PauseMessage(
        action="pause", account="desk-1", reason="drill", requested_by="ops"
    )
    assert read_pause(word.model_dump_json().encode()) == word


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "the body is not JSON"),
        (b"\xff", "the body is not UTF-8"),
        (b'"pause"', "message: "),
        (b'{"action": "stop", "account": "a"}', "action: "),
        (b'{"action": "pause"}', "account: "),
        (b'{"action": "pause", "account": "a b"}', "account: "),
        (b'{"action": "pause", "account": "a", "account": "b"}', "a key stands twice"),
        (
            json.dumps({"action": "pause", "account": "a", "reason": "x" * 257}).encode(),
            "reason",
        ),
        (b" " * (MOST_BYTES + 1), f"{MOST_BYTES + 1} bytes; at most"),
    ],
)
def test_what_is_no_word(body: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_pause(body)
