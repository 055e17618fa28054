"""How each simulated venue words what happened: facts in, a reply in its own shape out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tests.simulation.book import SimOrder
from tests.simulation.toys import PAGE_SIZE, answer
from venues import coinw
from venues.base import Answer, Answers, Batch, HttpReply, Route
from venues.words import OPEN_STATES, IdKind, OrdStatus, OrdType

#: What each id of a cancel was before it; None: no such order.
Before = Mapping[str, OrdStatus | None]


@dataclass(frozen=True, slots=True)
class View:
    """What a look-up sees: orders asked for, all, the record, the time shown, a page's rows."""

    asked: Mapping[str, SimOrder | None]
    book: Sequence[SimOrder]
    record: Sequence[SimOrder]
    when: float
    page_rows: int


#: No list shows more rows, and no venue tells of it.
MOST_ROWS = 40


class Voice(Protocol):
    def proves(self, route: Route) -> bool:
        """Return whether a reply of this route names states that are to be believed."""

    def records(self, order: SimOrder) -> bool:
        """Return whether the order can still be looked up once it has ended."""

    def reaches(self, route: Route, order: SimOrder) -> bool:
        """Return whether the venue knows the order at this route."""

    def canceled(self, batch: Batch, before: Before) -> HttpReply:
        """Answer a cancel; ids that are left out of `before` are left out of the answer."""

    def shown(self, batch: Batch, view: View) -> HttpReply:
        """Answer a look-up."""

    def page(self, batch: Batch, most: int) -> tuple[int, int]:
        """Return from which row of the record to which a page goes; `most` rows are on one."""


def ok(json: object, status: int = 200) -> HttpReply:
    return HttpReply(status, {}, json)


def _after(before: OrdStatus | None) -> OrdStatus | None:
    return OrdStatus.CANCELED if before in OPEN_STATES else before


class PlainVoice:
    """Each id with its state, after a cancel and in a look-up."""

    def proves(self, route: Route) -> bool:
        return route.trusted

    def reaches(self, route: Route, order: SimOrder) -> bool:
        return True

    def records(self, order: SimOrder) -> bool:
        return True

    def canceled(self, batch: Batch, before: Before) -> HttpReply:
        return ok(Answers(by_id={key: answer(_after(was)) for key, was in before.items()}))

    def page(self, batch: Batch, most: int) -> tuple[int, int]:
        return 0, 0

    def shown(self, batch: Batch, view: View) -> HttpReply:
        said = {
            key: _typed(order, view.when) if order else answer(None)
            for key, order in view.asked.items()
        }
        return ok(Answers(by_id=said))


class BoastVoice(PlainVoice):
    """A batch names as canceled what was open, and is silent of the rest."""

    def canceled(self, batch: Batch, before: Before) -> HttpReply:
        if batch.route.trusted:
            return super().canceled(batch, before)
        return ok(Answers(by_id={k: answer(_after(w)) for k, w in before.items() if _open(w)}))


class MuteVoice:
    """One word for all; open lists by type, and a record of what had traded."""

    def proves(self, route: Route) -> bool:
        return False

    def reaches(self, route: Route, order: SimOrder) -> bool:
        return True

    def records(self, order: SimOrder) -> bool:
        if order.ord_type not in (OrdType.LIMIT, OrdType.MARKET):
            return False
        canceled = order.canceled_at < order.ends_at
        return order.traded if canceled else order.ending is OrdStatus.FILLED

    def canceled(self, batch: Batch, before: Before) -> HttpReply:
        done = batch.route.max_ids > 1 or any(_open(was) for was in before.values())
        return ok(Answers(overall=Answer(code="0" if done else "unknown")))

    def page(self, batch: Batch, most: int) -> tuple[int, int]:
        if batch.route.name != "history":
            return 0, 0
        return (batch.page - 1) * PAGE_SIZE, batch.page * PAGE_SIZE

    def shown(self, batch: Batch, view: View) -> HttpReply:
        if batch.route.name == "history":
            start, end = self.page(batch, view.page_rows)
            rows = view.record[start:end]
            said = {order.id: answer(order.status(view.when)) for order in rows}
            return ok(_list(batch, said, end < len(view.record)))
        listed = _listed(batch, view)
        said = {order.id: _typed(order, view.when) for order in listed}
        return ok(_list(batch, said, batch.lists_all and len(listed) == MOST_ROWS))


def _list(batch: Batch, rows: Mapping[str, Answer], truncated: bool) -> Answers:
    asked = {ref.id for ref in batch.refs}
    others = {key: said for key, said in rows.items() if key not in asked}
    return Answers(None, rows, truncated, {IdKind.VENUE: others})


def _open(status: OrdStatus | None) -> bool:
    return status in OPEN_STATES


def _typed(order: SimOrder, when: float) -> Answer:
    state = str(order.status(when))
    return Answer(state=state, ord_type=order.ord_type, symbol=order.symbol)


def _listed(batch: Batch, view: View) -> list[SimOrder]:
    """Return the orders that a list of open orders of the route's type shows."""
    seen = view.book if batch.lists_all else view.asked.values()
    of_type = [
        order
        for order in seen
        if order and order.is_open(view.when) and order.ord_type in batch.route.ord_types
    ]
    return of_type[:MOST_ROWS]


class CoinWVoice(MuteVoice):
    """CoinW's envelopes and rows."""

    _WORDS = {kind: word for word, kind in coinw.ROW_TYPES.items()}

    def canceled(self, batch: Batch, before: Before) -> HttpReply:
        done = batch.route.max_ids > 1 or any(_open(was) for was in before.values())
        return ok({"code": 0, "msg": ""} if done else {"code": 9012, "msg": "no"})

    def shown(self, batch: Batch, view: View) -> HttpReply:
        if batch.route.max_pages == 1:
            return ok({"code": 0, "data": [self._row(o) for o in _listed(batch, view)]})
        is_record = batch.route.name in coinw.RECORDS
        rows = view.record if is_record else _listed(batch, view)
        start, end = self._place(batch, view.page_rows)
        page = [self._history_row(o, view.when) for o in rows[start:end]]
        return ok({"code": 0, "data": {"rows": page, "total": len(rows)}})

    def page(self, batch: Batch, most: int) -> tuple[int, int]:
        return self._place(batch, most) if batch.route.name in coinw.RECORDS else (0, 0)

    def _place(self, batch: Batch, most: int) -> tuple[int, int]:
        number, size = coinw.place_of(batch)
        size = min(size, most)
        return (number - 1) * size, number * size

    def _row(self, order: SimOrder) -> dict[str, Any]:
        word = self._WORDS[order.ord_type]
        return {"id": int(order.id), "posType": word, "orderStatus": "unFinish"}

    def _history_row(self, order: SimOrder, when: float) -> dict[str, Any]:
        words = {OrdStatus.FILLED: "finish", OrdStatus.CANCELED: "cancel"}
        word = words.get(order.status(when), "unFinish")
        return self._row(order) | {"id": order.id, "orderStatus": word}


class ZtdxVoice(PlainVoice):
    """ZTDX's rows: a batch claims all that was open, and by client order id names nobody."""

    def proves(self, route: Route) -> bool:
        return route.trusted

    def canceled(self, batch: Batch, before: Before) -> HttpReply:
        rows = [self._row(batch, key, was) for key, was in before.items() if _open(was)]
        if batch.route.name == "cancel_batch":
            return ok(rows)
        (was,) = before.values()
        return ok(rows[0]) if rows else _ztdx_refusal(was)

    def _row(self, batch: Batch, key: str, was: OrdStatus | None) -> dict[str, str]:
        by_client_id = batch.refs[0].kind is IdKind.CLIENT
        named = "someone" if by_client_id and batch.route.name == "cancel_batch" else key
        return {"orderId": key, "clientOrderId": named, "status": str(_after(was))}

    def shown(self, batch: Batch, view: View) -> HttpReply:
        if batch.route.name == "open_orders":
            return ok([self._open_row(o, view.when) for o in view.book if o.is_open(view.when)])
        ((key, order),) = view.asked.items()
        if order is None:
            return _ztdx_refusal(None)
        return ok({"orderId": key, "clientOrderId": key, "status": order.status(view.when)})

    def _open_row(self, order: SimOrder, when: float) -> dict[str, str]:
        by_client_id = order.kind is IdKind.CLIENT
        names = ("someone", order.id) if by_client_id else (order.id, order.id)
        state = str(order.status(when))
        return {"orderId": names[0], "clientOrderId": names[1], "status": state}


def _ztdx_refusal(was: OrdStatus | None) -> HttpReply:
    if was is None:
        return ok({"code": -2013, "msg": "Order does not exist."}, 400)
    word = {OrdStatus.FILLED: "filled", OrdStatus.EXPIRED: "expired"}.get(was, "cancelled")
    return ok({"code": -2011, "msg": f"Order cannot be cancelled. Status: {word}"}, 400)


class BinanceVoice(PlainVoice):
    """Two doors, each with its own orders; errors of a batch name nobody."""

    def proves(self, route: Route) -> bool:
        return route.trusted

    def records(self, order: SimOrder) -> bool:
        """Of an order that fired it is not told what became of it."""
        is_plain = order.ord_type in (OrdType.LIMIT, OrdType.MARKET)
        return (
            is_plain
            or order.canceled_at < order.ends_at
            or order.ending is not OrdStatus.FILLED
        )

    def reaches(self, route: Route, order: SimOrder) -> bool:
        return _is_algo(route) == (order.ord_type not in (OrdType.LIMIT, OrdType.MARKET))

    def canceled(self, batch: Batch, before: Before) -> HttpReply:
        unknown = {"code": -2011, "msg": "Unknown order sent."}
        kind, taken = batch.refs[0].kind, {"code": "200", "msg": "success"}
        rows = [
            (self._named(batch.route, kind, key) | (taken if _is_algo(batch.route) else _DONE))
            if _open(was)
            else unknown
            for key, was in before.items()
        ]
        if batch.route.name == "cancel_batch":
            return ok(rows)
        return ok(rows[0], 200 if "orderId" in rows[0] or "algoId" in rows[0] else 400)

    def shown(self, batch: Batch, view: View) -> HttpReply:
        if batch.route.only_open:
            here = (o for o in view.book if self.reaches(batch.route, o))
            return ok(
                [self._row(batch.route, o, view.when) for o in here if o.is_open(view.when)]
            )
        ((_, order),) = view.asked.items()
        if order is None:
            return ok({"code": -2013, "msg": "Order does not exist."}, 400)
        return ok(self._row(batch.route, order, view.when))

    def _row(self, route: Route, order: SimOrder, when: float) -> dict[str, object]:
        state, named = order.status(when), self._named(route, order.kind, order.id)
        if not _is_algo(route):
            word = str(order.ord_type).upper()
            return named | {"status": str(state), "symbol": order.symbol, "type": word}
        word = "FINISHED" if state is OrdStatus.FILLED else str(state)
        status = "NEW" if state in OPEN_STATES else word
        return named | {"algoStatus": status, "symbol": order.symbol, "actualOrderId": ""}

    def _named(self, route: Route, kind: IdKind, key: str) -> dict[str, object]:
        names = ("algoId", "clientAlgoId") if _is_algo(route) else ("orderId", "clientOrderId")
        ids = (key, "x") if kind is IdKind.VENUE else (f"9{abs(hash(key)) % 10**9}", key)
        return dict(zip(names, ids, strict=True))


_DONE = {"status": "CANCELED"}


def _is_algo(route: Route) -> bool:
    return "algo" in route.name


class KunaVoice(PlainVoice):
    """Kuna's envelopes: a success names no state, a refusal is an HTTP 500."""

    _WORDS = {
        OrdStatus.FILLED: "Closed",
        OrdStatus.CANCELED: "Canceled",
        OrdStatus.EXPIRED: "Expired",
    }

    def proves(self, route: Route) -> bool:
        return False

    def canceled(self, batch: Batch, before: Before) -> HttpReply:
        if batch.route.name == "cancel_batch":
            rows = [{"id": key, "success": _open(was)} for key, was in before.items()]
            return ok({"data": rows})
        (was,) = before.values()
        return ok({"data": {"success": True}}) if _open(was) else self._refusal(was)

    def _refusal(self, was: OrdStatus | None) -> HttpReply:
        if was is None:
            error = {"code": "NOT_FOUND", "message": "Order not found"}
        else:
            text = f"Order with status {self._WORDS[was]} can't be canceled"
            error = {"code": "BAD_REQUEST", "message": text}
        return ok({"errors": [error]}, 500)

    def shown(self, batch: Batch, view: View) -> HttpReply:
        ((key, order),) = view.asked.items()
        if order is None:
            return self._refusal(None)
        word = self._WORDS.get(order.status(view.when), "Open")
        return ok({"data": {"id": key, "status": word, "pair": "BTC_USDT"}})


VOICES: dict[str, Voice] = {
    "plain": PlainVoice(),
    "metered": PlainVoice(),
    "boast": BoastVoice(),
    "mute": MuteVoice(),
    "hasty": MuteVoice(),
    "binance": BinanceVoice(),
    "coinw": CoinWVoice(),
    "ztdx": ZtdxVoice(),
    "kuna": KunaVoice(),
}
