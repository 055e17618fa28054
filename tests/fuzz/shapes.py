"""Strategies for what producers may send: JSON of any shape, and jobs that are nearly right."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from hypothesis import strategies as st

from venues import all_venues
from venues.credential import Credential
from worker.settings import Account

ACCOUNTS = {
    name: Account(
        name=name,
        venue=venue,
        credential=Credential(api_key="key", api_secret="secret"),
        base_url="http://127.0.0.1:1",
    )
    for name, venue in all_venues().items()
}
#: Half characters, control characters, URL and header syntax are all text to JSON.
texts = st.text(st.characters(), max_size=140) | st.sampled_from(
    ["", "\ud800", "\x00", "a\r\nHost: b", "../x", "1?a=b", "1" * 101, "nan", "1e5", "٣٣٣"]
)
#: What a time may look like, and what is near to one.
times = st.from_regex(
    r"[0-9]{4}-?[01][0-9]-?[0-3][0-9][Tt ][0-2][0-9]:?[0-9]{2}(:?[0-6][0-9]([.,][0-9]{1,10})?)?"
    r"(Z|z|[+-][0-9]{2}(:?[0-9]{2})?)?(\[UTC\])?",
    fullmatch=True,
) | st.datetimes(timezones=st.timezones()).map(datetime.isoformat)
numbers = st.integers() | st.floats() | st.integers(10**98, 10**120)
leaves = st.none() | st.booleans() | numbers | texts
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
)
ids = st.sampled_from(
    ["33308750270880236", "3fa42833-9508-4061-8d80-b68563dcd521", "risk-42", 33308750270880236]
)
items = st.fixed_dictionaries(
    {"id": ids | leaves},
    optional={
        "kind": st.sampled_from(["venue_order_id", "client_order_id"]) | leaves,
        "ord_type": st.sampled_from(["limit", "any", "tp_sl"]) | leaves,
        "symbol": st.just("BTCUSDT") | leaves,
        "more": values,
    },
)
_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "job_id": texts | values,
    "venue": st.sampled_from(sorted(ACCOUNTS)) | values,
    "symbol": st.just("BTCUSDT") | values,
    "deadline": times | values,
    "reason": texts | values,
    "requested_by": texts | values,
    "tags": st.dictionaries(texts, texts, max_size=17) | values,
    "more": values,
}
jobs = st.fixed_dictionaries(
    {
        "account": st.sampled_from(sorted(ACCOUNTS)) | values,
        "orders": st.lists(ids | items | values, max_size=6) | values,
    },
    optional=_FIELDS,
)
#: What may stand among the ids and names no order.
bad_elements: st.SearchStrategy[Any] = st.sampled_from(
    [None, "", 1.5, True, [], {}, {"id": None}, {"id": "1", "kind": 5}, "9" * 101, 10**100]
)
#: Jobs that must be taken, so that what comes after the door is tried as well.
good_jobs = st.fixed_dictionaries(
    {
        "job_id": st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=128),
        "account": st.just("ztdx"),
        "symbol": st.just("BTCUSDT"),
        "orders": st.lists(
            ids | st.text(min_size=1, max_size=100) | bad_elements, min_size=1, max_size=6
        ),
    },
    optional={
        "reason": st.none() | st.text(max_size=256),
        "deadline": st.none() | times,
        "tags": st.none() | st.dictionaries(st.text(max_size=9), st.none() | st.text()),
    },
)
