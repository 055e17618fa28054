"""Symbols that a venue knows by numbers: read when one is missing, and never guessed."""

from __future__ import annotations

import copy
import json
import threading
import time
from collections.abc import Mapping
from queue import Queue

import pytest

from tests.support.hyperliquid import ADDRESS, KEY, Book, served
from venues.base import Batch, HttpReply, HttpRequest, UnknownSymbol
from venues.credential import Credential
from venues.hyperliquid import Hyperliquid
from venues.words import CancelOutcome, IdKind, OrderRef
from worker.http.transport import InDoubt, NotSent
from worker.lane.submission import Results, Submission
from worker.orders.progress import cohorts, new_progress
from worker.pacing.pace import NEVER
from worker.processes.directory import READ_AGAIN_S, Directory
from worker.processes.engine import Engine
from worker.settings import Account
from worker.stats import NO_OBSERVER

VENUE = Hyperliquid({"network": "testnet", "markets": "main"})
ROUTE = next(route for route in VENUE.routes if route.name == "cancel_batch")
WAIT_S = 20.0


def batch(symbol: str) -> Batch:
    return Batch(ROUTE, (OrderRef("1", IdKind.VENUE, symbol),))


def universe(*names: str) -> HttpReply:
    return HttpReply(200, {}, {"universe": [{"name": name} for name in names]})


class Venue:
    """The edge: replies to the reading of symbols, one after the other."""

    def __init__(self, *replies: HttpReply | Exception) -> None:
        self._replies = iter(replies)
        self.reads = 0

    def send(self, request: HttpRequest) -> HttpReply:
        assert request == VENUE.symbol_numbers
        self.reads += 1
        reply = next(self._replies)
        if isinstance(reply, Exception):
            raise reply
        return reply


def test_what_needs_no_number_reads_none() -> None:
    venue = Venue()
    directory = Directory(VENUE, venue.send)
    look = next(route for route in VENUE.routes if route.name == "order")

    directory.build(batch("10107"))
    directory.build(Batch(look, batch("BTC").refs))
    assert venue.reads == 0


def test_numbers_are_read_once() -> None:
    venue = Venue(universe("BTC", "ETH"))
    directory = Directory(VENUE, venue.send)

    bodies = [directory.build(batch(word)).body for word in ("ETH", "BTC", "ETH")]
    assert [json.loads(body)["action"]["cancels"][0]["a"] for body in bodies] == [1, 0, 1]
    assert venue.reads == 1


def test_a_symbol_that_is_missing_is_sought_again_but_not_all_the_time() -> None:
    now = [100.0]
    venue = Venue(universe("BTC"), universe("BTC", "NEW"))
    directory = Directory(VENUE, venue.send, lambda: now[0])
    for _ in range(3):
        with pytest.raises(UnknownSymbol, match="NEW"):
            directory.build(batch("NEW"))
    assert venue.reads == 1

    now[0] += READ_AGAIN_S
    assert b'"a":1' in directory.build(batch("NEW")).body
    assert venue.reads == 2


@pytest.mark.parametrize(
    ("failure", "why"),
    [
        (NotSent("unreachable"), "unreachable"),
        (InDoubt("timeout"), "timeout"),
        (HttpReply(429, {}, None, "null"), "unreadable_reply"),
        (HttpReply(200, {}, {"universe": [{}]}), "unreadable_reply"),
        (HttpReply(200, {}, []), "unreadable_reply"),
    ],
    ids=lambda word: str(word)[:20],
)
def test_where_the_numbers_cannot_be_read_nothing_leaves(
    failure: HttpReply | Exception, why: str
) -> None:
    """And the next request tries again: of a symbol nothing is said that nobody has read."""
    venue = Venue(failure, universe("BTC"))
    directory = Directory(VENUE, venue.send)

    with pytest.raises(NotSent, match=why):
        directory.build(batch("BTC"))
    assert b'"a":0' in directory.build(batch("BTC")).body


def test_threads_that_waited_for_a_read_do_not_read_again() -> None:
    entered, go_on = threading.Event(), threading.Event()
    venue = Venue(NotSent("unreachable"), universe("BTC"))

    def slow(request: HttpRequest) -> HttpReply:
        entered.set()
        assert go_on.wait(WAIT_S)
        return venue.send(request)

    directory = Directory(VENUE, slow)
    told: Queue[str] = Queue()

    def build() -> None:
        try:
            directory.build(batch("BTC"))
        except NotSent as error:
            told.put(str(error))

    threads = [threading.Thread(target=build) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert entered.wait(WAIT_S)
    time.sleep(0.2)  # the others wait by now
    go_on.set()
    for thread in threads:
        thread.join(WAIT_S)

    assert [told.get_nowait() for _ in threads] == ["unreachable"] * 4
    assert venue.reads == 1


# --- the way to the venue and back


def cancel(book: Book, orders: Mapping[str, str]) -> dict[str, CancelOutcome]:
    """Kill orders, each named with a symbol; return their outcomes."""
    venue = copy.copy(VENUE)
    venue.read_lag_s = venue.birth_lag_s = venue.record_lag_s = venue.hidden_s = 0.05
    inbox: Queue[list[Results]] = Queue()
    told: dict[str, CancelOutcome] = {}
    with served(book) as url:
        account = Account(
            name="desk",
            venue=venue,
            credential=Credential(api_secret=KEY, account_address=ADDRESS, vault_address=""),
            base_url=url,
            quotas=venue.quotas,
        )
        engine = Engine({"desk": account}, inbox.put, NO_OBSERVER.venue_call, lambda _: None)
        ids = [OrderRef(order, IdKind.VENUE, symbol) for order, symbol in orders.items()]
        job = Submission(account="desk", job_id="j", kill=True, deadline=NEVER)
        engine.of("desk").submit([(job, cohorts([(ref, new_progress(ref)) for ref in ids]))])
        give_up = time.monotonic() + WAIT_S
        while len(told) < len(orders):
            for results in inbox.get(timeout=give_up - time.monotonic()):
                told |= {r.id: r for r in results.results if isinstance(r, CancelOutcome)}
        engine.stop()
        engine.close()
    return told


def test_orders_of_all_symbols_are_canceled_by_their_numbers() -> None:
    book = Book({"11": "BTC", "12": "ETH", "13": "@107", "14": "BTC"})

    told = cancel(book, {"11": "BTC", "12": "ETH", "13": "10107", "14": "BTC"})
    assert {(each.status, each.evidence) for each in told.values()} == {("canceled", "lookup")}
    assert book.canceled == set(book.coins)
    assert book.reads == 1


def test_an_unknown_symbol_is_answered_alone_and_nothing_leaves_for_it() -> None:
    book = Book({"11": "BTC"} | {str(n): "xyz:TSLA" for n in range(50, 100)})
    lost = {str(n): "xyz:TSLA" for n in range(50, 100)}

    told = cancel(book, {"11": "BTC", **lost})
    assert told["11"].status == "canceled"
    assert {(told[n].status, told[n].reason, told[n].attempts) for n in lost} == {
        ("rejected", "bad_symbol", 1)
    }
    assert "xyz:TSLA" in told["50"].text
    assert [action["cancels"] for action in book.actions] == [[{"a": 0, "o": 11}]]


def test_an_order_of_another_symbol_than_stated_is_canceled_all_the_same() -> None:
    book = Book({"11": "BTC"})

    told = cancel(book, {"11": "ETH"})["11"]
    assert (told.status, told.symbol) == ("canceled", "BTC")
    assert [action["cancels"][0]["a"] for action in book.actions] == [1, 0]


def test_numbers_that_do_not_come_at_first_are_asked_for_again() -> None:
    book = Book({"11": "BTC"}, fails=2)

    assert cancel(book, {"11": "BTC"})["11"].status == "canceled"
    assert book.reads == 3
