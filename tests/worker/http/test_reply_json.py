"""What is read of a reply: all of it, or of its rows the fields that are looked at."""

from __future__ import annotations

from typing import Any

import pytest

from venues.base import Projection
from worker.http.reply_json import read_json

ROWS = Projection("data", frozenset({"id", "state"}))
BEYOND_A_FLOAT = 33308750270000001


def test_rows_have_what_is_looked_at_and_the_rest_of_a_reply_is_whole() -> None:
    text = (
        f'{{"code": 0, "data": [{{"id": {BEYOND_A_FLOAT}, "price": 1.5, "state": ["odd"]}},'
        ' {"price": 2}], "msg": {"deep": [1]}}'
    )

    assert read_json(text, ROWS) == {
        "code": 0,
        "data": [{"id": BEYOND_A_FLOAT, "state": ["odd"]}, {}],
        "msg": {"deep": [1]},
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"code": 6001, "msg": "sign"}', {"code": 6001, "msg": "sign"}),
        ('{"data": null}', {"data": None}),
        ('{"data": {"rows": [{"price": 1}]}}', {"data": {"rows": [{"price": 1}]}}),
        ('{"data": [{"price": 1}, "odd"]}', {"data": [{"price": 1}, "odd"]}),
        ('[{"price": 1}]', [{"price": 1}]),
        ("7", 7),
    ],
)
def test_a_reply_of_another_shape_is_read_whole(text: str, value: Any) -> None:
    assert read_json(text, ROWS) == read_json(text) == value


@pytest.mark.parametrize("rows", [None, ROWS])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>",
        '{"data": [',
        '{"data": []} and more',
        '{"data": [{"id": NaN}]}',
        '{"data": [{"price": -Infinity}]}',
        '{"data": ' + "[" * 100_000,
        '{"data": "\x00"}',
    ],
)
def test_what_is_no_json_is_nothing(text: str, rows: Projection | None) -> None:
    assert read_json(text, rows) is None
