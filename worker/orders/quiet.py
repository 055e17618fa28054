"""How long a venue asks for quiet, by its own table of headers and words. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from email.utils import parsedate_to_datetime

from venues.base import HttpReply, Quiet

_NUMBER = re.compile(r"[0-9]{1,19}(\.[0-9]{1,9})?")
#: A number from here on is a time: as a duration in seconds it would be 31 years.
_FIRST_EPOCH = 1e9
#: Each finer unit of a time is a thousandth of the one before (s, ms, us, ns).
_FINER = 1000.0


def quiet_asked_s(quiet: Quiet, reply: HttpReply, texts: Iterable[str] = ()) -> float | None:
    """Return how long the venue asks us to wait; None where it says nothing readable.

    A time counts against the reply's own Date header: our clock may be off.
    """
    asked = [_in_header(quiet, reply), *(_in_text(quiet, text, reply) for text in texts)]
    return max((wait_s for wait_s in asked if wait_s is not None), default=None)


def _in_header(quiet: Quiet, reply: HttpReply) -> float | None:
    for name, unit_s in quiet.headers:
        stated = reply.headers.get(name, "").strip()
        if _NUMBER.fullmatch(stated):
            return _seconds(float(stated), unit_s, reply)
        until = _http_date(stated)
        if until is not None:
            return _until(until.timestamp(), reply)
    return None


def _in_text(quiet: Quiet, text: str, reply: HttpReply) -> float | None:
    found = quiet.in_text.search(text)
    return _seconds(float(found[1]), 1.0, reply) if found else None


def _seconds(number: float, unit_s: float, reply: HttpReply) -> float | None:
    if number < _FIRST_EPOCH:
        return number * unit_s
    while number >= _FIRST_EPOCH * _FINER:
        number /= _FINER
    return _until(number, reply)


def _until(epoch_s: float, reply: HttpReply) -> float | None:
    now = _http_date(reply.headers.get("date", ""))
    return max(0.0, epoch_s - now.timestamp()) if now else None


def _http_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return date if date.tzinfo else None
