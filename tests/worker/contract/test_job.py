"""Bytes become a JSON value, or a reason why they hold none."""

from __future__ import annotations

import pytest

from worker.contract.job import MOST_BYTES, InvalidJob, read_json


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 1, "a": 2}',
        b'{"a": {"b": 1, "b": 2}}',
        b"[" * 100_000,
        b'{"a": ' + b"9" * 5000 + b"}",
    ],
)
def test_bytes_that_are_not_json_are_refused(body: bytes) -> None:
    with pytest.raises(InvalidJob) as caught:
        read_json(body)

    assert caught.value.reason == "not_json"


def test_size_and_encoding_are_checked_before_anything_is_parsed() -> None:
    with pytest.raises(InvalidJob) as large:
        read_json(b" " * (MOST_BYTES + 1))
    with pytest.raises(InvalidJob) as packed:
        read_json(b"{}", "gzip")

    assert large.value.reason == "too_large"
    assert packed.value.reason == "content_encoding"
