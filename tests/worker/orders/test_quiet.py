"""How long a venue asks for quiet: headers of any unit, dates, times, and words."""

from __future__ import annotations

import re

import pytest

from venues.base import HttpReply, Quiet
from worker.orders.quiet import quiet_asked_s

NOW = "Sat, 21 Nov 2026 09:30:00 GMT"
NOW_S = 1795253400


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "30000"}, 30000.0),
        ({"retry-after": "999999999"}, 999999999.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1e9"}, None),
        ({"retry-after": "Sat, 21 Nov 2026 09:30:30 GMT", "date": NOW}, 30.0),
        ({"retry-after": "Sat, 21 Nov 2026 09:29:00 GMT", "date": NOW}, 0.0),
        ({"retry-after": "Sat, 21 Nov 2026 09:30:30 GMT"}, None),
        ({"retry-after": "Sat, 21 Nov 2026 09:30:30 GMT", "date": "yesterday"}, None),
        ({"retry-after": "Sat, 21 Nov 2026 09:30:30 -0000", "date": NOW}, None),
        ({"retry-after": str(NOW_S + 30), "date": NOW}, 30.0),
        ({"retry-after": f"{NOW_S + 30}000", "date": NOW}, 30.0),
        ({"retry-after": f"{NOW_S + 30}000000000", "date": NOW}, 30.0),
        ({"retry-after": str(NOW_S - 30), "date": NOW}, 0.0),
        ({"retry-after": str(NOW_S + 30)}, None),
    ],
)
def test_the_usual_header_is_read(headers: dict[str, str], expected: float | None) -> None:
    assert quiet_asked_s(Quiet(), HttpReply(429, headers, None)) == expected


def test_the_table_has_the_name_and_the_unit_of_the_header() -> None:
    quiet = Quiet(headers=(("x-unlocks", 0.001), ("retry-after", 1.0)))
    headers = {"x-unlocks": "2500", "retry-after": "60"}

    assert quiet_asked_s(quiet, HttpReply(429, headers, None)) == 2.5
    del headers["x-unlocks"]
    assert quiet_asked_s(quiet, HttpReply(429, headers, None)) == 60.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("Too many requests", None),
        (f"IP(192.0.2.7) banned until {NOW_S + 90}000. Be gentle.", 90.0),
        (f"wait until {NOW_S + 90}", 90.0),
        ("open until 9", None),
    ],
)
def test_words_may_name_a_time(text: str, expected: float | None) -> None:
    assert quiet_asked_s(Quiet(), HttpReply(200, {"date": NOW}, None), [text]) == expected


def test_the_longer_of_header_and_words_counts() -> None:
    quiet = Quiet(in_text=re.compile("for ([0-9]+) s"))
    asked = HttpReply(429, {"retry-after": "5", "date": NOW}, None)

    assert quiet_asked_s(quiet, asked, ["for 9 s", "nothing"]) == 9.0
