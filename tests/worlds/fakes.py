"""The fake of each venue that worlds are drawn for; the first three first."""

from __future__ import annotations

from tests.worlds.binance import Binance
from tests.worlds.bitget import Bitget
from tests.worlds.bybit import Bybit
from tests.worlds.coinw import Coinw
from tests.worlds.deribit import Deribit
from tests.worlds.fake import Fake
from tests.worlds.gate import Gate
from tests.worlds.hyperliquid import Hyperliquid
from tests.worlds.kraken_futures import KrakenFutures
from tests.worlds.kraken_spot import KrakenSpot
from tests.worlds.kucoin import KuCoin
from tests.worlds.kuna import Kuna
from tests.worlds.okx import Okx
from tests.worlds.ztdx import Ztdx

FAKES: dict[str, type[Fake]] = {
    "coinw": Coinw,
    "ztdx": Ztdx,
    "kuna": Kuna,
    "binance": Binance,
    "bybit": Bybit,
    "okx": Okx,
    "gate": Gate,
    "kucoin": KuCoin,
    "hyperliquid": Hyperliquid,
    "bitget": Bitget,
    "deribit": Deribit,
    "kraken_futures": KrakenFutures,
    "kraken_spot": KrakenSpot,
}
