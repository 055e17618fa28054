"""The chain: what is written down of it, and that each kind of change shows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.worker.record.conftest import outcome, report
from worker.record.chain import NOTHING_BEFORE, Link, chained, check
from worker.record.read import Message, read

NOW = datetime(2026, 11, 28, 9, 30, tzinfo=UTC)


def chain(count: int = 6) -> list[Link]:
    messages = [Message(json.dumps(outcome(str(n))).encode(), "a.b.c") for n in range(count)]
    messages[1] = Message(json.dumps(report()).encode(), "a.b.empty", "cancel.reports")
    messages[2] = Message(b"\xff no message", "\0\u00e4")
    rows = [read(message, NOW + timedelta(seconds=n)) for n, message in enumerate(messages)]
    return list(chained(rows, 0, NOTHING_BEFORE))


def rehashed(link: Link, **changes: object) -> Link:
    """Return a row as somebody writes it who knows how hashes are made."""
    changed = replace(link, **changes)  # type: ignore[arg-type]
    changed = replace(changed, body_sha256=hashlib.sha256(changed.body).hexdigest())
    return replace(changed, sha256=changed.own_sha256())


def test_an_untouched_chain_fits() -> None:
    links = chain()

    found = check(links)

    assert (found.rows, found.fault, found.head) == (6, "", links[-1].sha256)
    assert (found.began_at, found.ended_at) == (NOW, NOW + timedelta(seconds=5))
    assert [link.kind for link in links[:3]] == ["outcomes", "reports", "unreadable"]
    assert check([]).rows == 0


def test_a_hash_is_what_the_module_says_it_is() -> None:
    """By hand, as an auditor may do it with the rows and no code of ours."""
    first = chain()[0]
    said = (
        f'{{"body_sha256":"{hashlib.sha256(first.body).hexdigest()}",'
        '"finished_at":"2026-11-21T09:30:00.412000Z","kind":"outcomes","number":1,'
        f'"previous_sha256":"{"0" * 64}","recorded_at":"2026-11-28T09:30:00.000000Z",'
        '"routing_key":"a.b.c"}'
    )

    assert first.sha256 == hashlib.sha256(said.encode()).hexdigest()


TAMPERED: dict[str, tuple[Callable[[list[Link]], list[Link]], str]] = {
    "a message was changed": (
        lambda c: [
            *c[:3],
            replace(c[3], body=c[3].body.replace(b"canceled", b"filled")),
            *c[4:],
        ],
        "row 4 was changed: its message",
    ),
    "a message was changed with its own hash": (
        lambda c: [*c[:3], replace(rehashed(c[3], body=b"{}"), sha256=c[3].sha256), *c[4:]],
        "row 4 was changed: it has another SHA-256",
    ),
    "a time was changed": (
        lambda c: [*c[:3], replace(c[3], recorded_at=NOW), *c[4:]],
        "row 4 was changed: it has another SHA-256",
    ),
    "a row was written anew": (
        lambda c: [*c[:3], rehashed(c[3], body=b"{}"), *c[4:]],
        "row 5 does not follow row 4",
    ),
    "a row was taken out": (lambda c: [*c[:3], *c[4:]], "row 4 is missing"),
    "rows were taken out": (lambda c: [*c[:2], *c[5:]], "rows 3 to 5 are missing"),
    "the first row was taken out": (lambda c: c[1:], "row 1 is missing"),
    "a row was taken out and the next renumbered": (
        lambda c: [*c[:3], rehashed(c[4], number=4)],
        "row 4 does not follow row 3",
    ),
    "a row was put in": (
        lambda c: [
            *c[:3],
            rehashed(c[3], body=b"{}", previous_sha256=c[2].sha256),
            *(rehashed(link, number=link.number + 1) for link in c[3:]),
        ],
        "row 5 does not follow row 4",
    ),
    "two rows changed places": (
        lambda c: [*c[:3], rehashed(c[4], number=4), rehashed(c[3], number=5), c[5]],
        "row 4 does not follow row 3",
    ),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_the_first_row_that_does_not_fit_is_named(name: str) -> None:
    tamper, said = TAMPERED[name]

    found = check(tamper(chain()))

    assert found.fault.startswith(said)
    assert found.rows == int(said.split()[1]) - 1


def test_an_end_that_was_cut_off_shows_against_a_head_that_was_kept() -> None:
    links = chain()
    head = links[-1].sha256

    assert check(links[:-2]).fault == ""
    assert check(links[:-2], head).fault.startswith(f"no row has the SHA-256 {head}")
    grown = [*links, *chained([read(Message(b"", ""), NOW)], 6, head)]
    assert check(grown, head.upper()).fault == ""


def test_a_chain_that_was_written_anew_shows_against_a_head_that_was_kept() -> None:
    links = chain()
    anew = list(chained([read(Message(link.body, "x"), NOW) for link in links], 0, "0" * 64))

    assert check(anew).fault == ""
    assert "written anew" in check(anew, links[2].sha256).fault


@given(st.data())
def test_no_change_of_any_field_goes_unseen(data: st.DataObject) -> None:
    links = chain()
    at = data.draw(st.integers(0, len(links) - 1))
    field = data.draw(st.sampled_from(sorted(Link.__annotations__)))
    value = getattr(links[at], field)
    others: dict[type, st.SearchStrategy[object]] = {
        int: st.integers(-(2**63), 2**63 - 1),
        str: st.text(max_size=70),
        bytes: st.binary(max_size=70),
        datetime: st.datetimes(timezones=st.just(UTC)),
    }
    other = data.draw(others[type(value)].filter(lambda found: found != value))

    links[at] = replace(links[at], **{field: other})  # type: ignore[arg-type]

    # A number decides where a row stands, as the journal is read in its order.
    assert check(sorted(links, key=lambda link: link.number)).fault
