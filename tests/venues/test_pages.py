"""A list of CoinW's, read page by page as its venue cuts it: no row is missed, and it ends."""

from __future__ import annotations

from typing import Any

import pytest

from venues.base import Batch, HttpReply, Page
from venues.coinw import CoinW, place_of
from venues.words import IdKind, OrderRef

VENUE = CoinW()
(HISTORY,) = (route for route in VENUE.routes if route.name == "history")
REF = OrderRef("33308750270880236", IdKind.VENUE)


def served(rows: list[str], batch: Batch, most: int, total: str) -> HttpReply:
    """Return the page that was asked for, of a venue that gives at most so many rows."""
    number, size = place_of(batch)
    size = min(size, most)
    page = rows[(number - 1) * size : number * size]
    told = {"whole": {"total": len(rows)}, "page": {"total": len(page)}, "none": {}}[total]
    shown = [{"id": row, "orderStatus": "finish", "posType": "plan"} for row in page]
    body: Any = {"code": 0, "data": {"rows": shown, **told}, "msg": ""}
    return HttpReply(200, {}, body)


@pytest.mark.parametrize("total", ["whole", "page", "none"])
@pytest.mark.parametrize("most", [10, 20, 25, 30, 40, 50, 100, 500])
@pytest.mark.parametrize("length", [0, 1, 9, 10, 11, 50, 99, 100, 101, 190, 199, 200, 1001])
def test_pages_overlap_until_every_row_was_shown(length: int, most: int, total: str) -> None:
    rows = [str(10**10 + number) for number in range(length)]
    seen: set[str] = set()
    read, before = Page((), 0), ""
    for number in range(1, 300):
        batch = Batch(HISTORY, (REF,), number, read.end, read.size)
        answers = VENUE.parse(batch, served(rows, batch, most, total))
        page = answers.page
        assert page is not None
        assert not before or before in page.ids, "it overlaps the page before"
        seen |= set(page.ids)
        if not answers.truncated or page.ids[-1] == before:
            break
        read, before = page, page.ids[-1]

    assert seen == set(rows)
