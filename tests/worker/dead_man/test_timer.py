"""Which accounts may have the venue's own timer kept, and what is said of its reach."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from venues import all_venues
from venues.base import Quota
from venues.credential import Credential
from worker.dead_man.timer import check_timers, marks_apart_s, timers_narrowed
from worker.settings import Account, ConfigError


def account_of(
    venue: str,
    timer_s: int,
    *symbols: str,
    options: Mapping[str, str] | None = None,
    quotas: Mapping[str, Quota] | None = None,
) -> dict[str, Account]:
    found = type(all_venues()[venue])(dict(options or {}))
    account = Account(
        name="d",
        venue=found,
        credential=Credential(api_key="planted", api_secret="planted"),
        base_url=found.base_url,
        dead_man_s=30,
        timer_s=timer_s,
        timer_symbols=symbols or ("",),
        quotas=found.quotas if quotas is None else quotas,
    )
    return {"d": account}


USDM, LIVE = {"product": "usdm"}, {"trading": "live"}


def test_what_it_does_not_reach_is_told() -> None:
    assert list(timers_narrowed(account_of("binance", 60, "BTCUSDT", "A", options=USDM))) == [
        "accounts.d.venue_timer: it reaches orders of BTCUSDT, A alone",
        "accounts.d.venue_timer: it is not documented to reach orders of these types: "
        "tp_sl, trailing_stop, trigger",
    ]
    assert list(timers_narrowed(account_of("okx", 60, options=LIVE))) == [
        "accounts.d.venue_timer: it is not documented to reach orders of these types: "
        "tp_sl, trailing_stop, trigger",
    ]
    assert list(timers_narrowed(account_of("kraken_spot", 60))) == []
    assert list(timers_narrowed(account_of("okx", 0, options=LIVE))) == []


def test_renewals_leave_quotas_to_cancels() -> None:
    ten = [f"S{number}" for number in range(10)]
    check_timers(account_of("binance", 60, *ten, options=USDM))
    check_timers(account_of("okx", 10, options=LIVE))  # a limit of its own
    check_timers(account_of("kraken_spot", 40))

    with pytest.raises(ConfigError) as many:
        check_timers(account_of("binance", 60, *ten, "S10", options=USDM))
    with pytest.raises(ConfigError) as short:
        check_timers(account_of("kraken_spot", 39))

    assert str(many.value) == (
        "accounts.d.venue_timer: its renewals would take cancels' quotas; "
        "make it 66s or longer, or name fewer symbols"
    )
    assert str(short.value) == (
        "accounts.d.venue_timer: its renewals would take cancels' quotas; make it 40s or longer"
    )
    check_timers(account_of("kraken_spot", 10, quotas={}))
    check_timers(account_of("kraken_spot", 0))


def test_a_symbol_is_one() -> None:
    with pytest.raises(ConfigError) as refused:
        check_timers(account_of("binance", 60, "BTC USDT", options=USDM))

    said = "accounts.d.venue_timer_symbols: 'BTC USDT' is no symbol"
    assert str(refused.value) == said


def test_marks_come_often_enough_for_it() -> None:
    assert marks_apart_s(account_of("okx", 60, options=LIVE)["d"]) == 5.0
    assert marks_apart_s(account_of("okx", 0, options=LIVE)["d"]) == float("inf")
