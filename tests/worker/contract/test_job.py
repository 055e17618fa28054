"""Bytes become a JSON value, or a reason why they hold none."""

from __future__ import annotations

from typing import Any

import pytest

from worker.contract.job import MOST_BYTES, InvalidJob, read_json, unknown_fields, validated


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


@pytest.mark.parametrize(
    ("said", "reason", "names"),
    [
        ({}, "no_orders", "neither orders nor scope"),
        ({"orders": None, "scope": None}, "no_orders", "neither orders nor scope"),
        ({"orders": ["1"], "scope": "all"}, "orders_and_scope", "not both"),
        ({"scope": "some"}, "bad_scope", "'all'"),
        ({"scope": {}}, "bad_scope", "says nothing"),
        ({"scope": {"symbols": None}}, "bad_scope", "says nothing"),
        ({"scope": {"colour": "red"}}, "bad_scope", "scope.colour"),
        ({"scope": {"symbols": ["BTC", 5]}}, "bad_scope", "scope.symbols.1"),
        ({"scope": {"except": ["1", None]}}, "bad_scope", "scope.except.1"),
        ({"scope": "all", "hold_s": 3601}, "bad_hold_s", "hold_s"),
        ({"scope": "all", "hold_s": True}, "bad_hold_s", "hold_s"),
    ],
)
def test_a_scope_that_is_none_is_refused(said: Any, reason: str, names: str) -> None:
    with pytest.raises(InvalidJob) as caught:
        validated({"account": "desk-1", **said})

    assert caught.value.reason == reason
    assert names in caught.value.detail


def test_names_of_unknown_fields_are_bounded() -> None:
    job = {"account": "desk-1", "orders": ["1"]} | {f"{n:02}" + "x" * 100: 1 for n in range(20)}

    assert unknown_fields(job) == tuple(f"{n:02}" + "x" * 62 for n in range(16))


def test_how_long_to_hold_means_nothing_beside_ids() -> None:
    job = {"account": "desk-1", "orders": ["1"], "hold_s": 5}

    validated(job)

    assert unknown_fields(job) == ("hold_s",)
    assert unknown_fields({"account": "desk-1", "scope": "all", "hold_s": 5}) == ()
