"""What is a heartbeat, and what is none."""

from __future__ import annotations

import pytest

from worker.contract.heartbeat import read_heartbeat


def test_a_producer_lives_or_ends() -> None:
    lives = read_heartbeat(b'{"producer": "mm-7.a_B", "of_tomorrow": 1}')
    ends = read_heartbeat(b'{"producer": "mm-7", "bye": true}')

    assert lives is not None and (lives.producer, lives.bye) == ("mm-7.a_B", False)
    assert ends is not None and ends.bye


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"alive",
        b"[]",
        b"{}",
        b"\xff",
        b'{"producer": ""}',
        b'{"producer": 7}',
        b'{"producer": null}',
        b'{"producer": "a b"}',
        b'{"producer": "a\\n"}',
        b'{"producer": "a", "bye": "yes"}',
        b'{"producer": "%s"}' % (b"x" * 65),
    ],
)
def test_what_is_no_heartbeat(body: bytes) -> None:
    assert read_heartbeat(body) is None
