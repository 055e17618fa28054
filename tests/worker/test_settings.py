"""Keys of any shape in the accounts file, and options: each is read, and looked at in time."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulation.scopes import PlainCanceler
from tests.simulation.toys import TOY_QUOTAS, Metered, Toy
from venues import all_venues
from venues.base import NOTHING_CHOSEN, Option
from venues.credential import Part
from worker.settings import Account, ConfigError, load, load_each

BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


class Shaped(Toy):
    """A venue whose key has more parts than two, of forms of their own."""

    name = "shaped"
    routes = ()
    quotas = TOY_QUOTAS
    parts = (
        Part("api_key"),
        Part("api_secret", BASE64, "Base64"),
        Part("private_key", re.compile(r"0x[0-9a-f]{64}"), "0x and 64 hex digits"),
        Part("api_passphrase", optional=True),
    )


class Sweeping(Shaped):
    """The same, with cancel-alls of a symbol."""

    cancel_alls = PlainCanceler.cancel_alls


class Extra(Toy):
    """A venue that needs modules, one of which nobody has."""

    name = "extra"
    routes = ()
    quotas = TOY_QUOTAS
    modules = ("json", "no_such_module")


class Choosy(Toy):
    """A venue whose address and routes hang on what an account chooses."""

    name = "choosy"
    routes = Metered.routes
    quotas = TOY_QUOTAS
    parts = (Part("api_key"),)
    options = (
        Option("category", ("linear", "inverse", "spot")),
        Option("network", ("main", "test"), default="main"),
    )

    def __init__(self, chosen: Mapping[str, str] = NOTHING_CHOSEN) -> None:
        super().__init__(chosen)
        self.base_url = f"https://{self.chosen['network']}.invalid"


GOOD = {
    "KEY": "planted-key",
    "SECRET": "cGxhbnRlZC1zZWNyZXQ=",
    "PRIVATE": "0x" + "ab" * 32,
    "PASSPHRASE": "planted-passphrase",
}
LINES = """
[accounts.desk-1]
venue = "shaped"
api_key_env = "KEY"
api_secret_env = "SECRET"
private_key_env = "PRIVATE"
"""
COINW_LINES = LINES.replace('private_key_env = "PRIVATE"\n', "").replace("shaped", "coinw")


@pytest.fixture(autouse=True)
def shaped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(all_venues(), "shaped", Shaped())
    monkeypatch.setitem(all_venues(), "choosy", Choosy())
    monkeypatch.setitem(all_venues(), "extra", Extra())


def read(folder: Path, lines: str, **values: str) -> dict[str, Account | ConfigError]:
    path = folder / "cancel.toml"
    path.write_text(lines)
    return load_each({"CANCEL_CONFIG": str(path), **GOOD, **values})


def refused(folder: Path, lines: str, **values: str) -> str:
    """Return why an accounts file stops the start: one line."""
    with pytest.raises(ConfigError) as fault:
        path = folder / "cancel.toml"
        path.write_text(lines)
        load({"CANCEL_CONFIG": str(path), **GOOD, **values})
    line = str(fault.value)
    assert "\n" not in line
    return line


def test_every_part_is_read_from_a_variable_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "phrase").write_text("planted-passphrase\n")
    lines = LINES + f'api_passphrase_file = "{tmp_path}/phrase"\n'

    account = read(tmp_path, lines)["desk-1"]

    assert isinstance(account, Account)
    assert account.credential.given == {
        "api_key": GOOD["KEY"],
        "api_secret": GOOD["SECRET"],
        "private_key": GOOD["PRIVATE"],
        "api_passphrase": GOOD["PASSPHRASE"],
    }
    assert not [value for value in GOOD.values() if value in repr(account)]


def test_a_part_that_is_optional_may_be_left_out(tmp_path: Path) -> None:
    account = read(tmp_path, LINES)["desk-1"]

    assert isinstance(account, Account)
    assert account.credential["api_passphrase"] == ""


@pytest.mark.parametrize(
    ("lines", "values", "said"),
    [
        (
            LINES.replace('private_key_env = "PRIVATE"', ""),
            {},
            "accounts.desk-1: no private key; set private_key_env or private_key_file",
        ),
        (LINES, {"PRIVATE": ""}, "accounts.desk-1.private_key_env: variable PRIVATE is empty"),
        (LINES, {"SECRET": "planted-secret"}, "accounts.desk-1: the secret is not Base64"),
        (
            LINES,
            {"PRIVATE": "0x" + "AB" * 32},
            "accounts.desk-1: the private key is not 0x and 64 hex digits",
        ),
        (LINES + 'api_passphrase = "x"', {}, "a passphrase does not belong in this file"),
        (LINES + 'privatekey = "x"', {}, "a private key does not belong in this file"),
        (LINES + 'privat_key_env = "X"', {}, "no such key; did you mean private_key_env?"),
        (LINES + "api_passphrase_env = 5", {}, "api_passphrase_env: input should be a valid"),
        (LINES.replace("shaped", "coinw"), {}, "private_key_env: no such key"),
        (LINES.replace("venue =", "venu ="), {}, "venu: no such key; did you mean venue?"),
        (LINES.replace('venue = "shaped"', ""), {}, "accounts.desk-1.venue: no venue ''"),
    ],
)
def test_a_wrong_part_stops_the_start(
    tmp_path: Path, lines: str, values: dict[str, str], said: str
) -> None:
    line = refused(tmp_path, lines, **values)

    assert said in line
    assert not [value for value in (GOOD | values).values() if value and value in line]


#: In every value that is drawn below, and in no word of ours: hypothesis also draws the words
#: that it finds in the code, which an account may well show.
MARK = "~7q~"
text = st.text(st.characters(codec="ascii"), min_size=4)


@settings(derandomize=True, deadline=None, database=None)
@given(st.sampled_from(sorted(GOOD)), st.tuples(text, text).map(MARK.join))
def test_no_value_of_any_part_is_ever_told(
    tmp_path_factory: pytest.TempPathFactory, part: str, value: str
) -> None:
    """Whatever is wrong with it, and whichever part it is."""
    lines = LINES + 'api_passphrase_env = "PASSPHRASE"\n'
    found = read(tmp_path_factory.getbasetemp(), lines, **{part: value})["desk-1"]

    assert MARK not in repr(found) + str(found)


EXTRA = """
[accounts.desk-1]
venue = "extra"
api_key_env = "KEY"
api_secret_env = "SECRET"
"""


def test_a_venue_whose_extra_is_not_installed_stops_the_start(tmp_path: Path) -> None:
    line = refused(tmp_path, EXTRA)

    assert "accounts.desk-1.venue: extra needs no_such_module; run: " in line
    assert line.endswith("pip install 'cancel-worker[extra]'")


def test_hyperliquid_without_its_extra_stops_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "msgpack", None)
    lines = """
[accounts.desk-1]
venue = "hyperliquid"
api_secret_env = "PRIVATE"
account_address_env = "ADDRESS"
options.markets = "main"
"""
    line = refused(tmp_path, lines, ADDRESS="0x" + "12" * 20)

    assert "hyperliquid needs msgpack; run: pip install 'cancel-worker[hyperliquid]'" in line
    monkeypatch.undo()
    monkeypatch.setitem(all_venues(), "extra", Extra())
    account = read(tmp_path, lines, ADDRESS="0x" + "12" * 20)["desk-1"]
    assert isinstance(account, Account)
    assert account.base_url == "https://api.hyperliquid.xyz"


def test_a_venue_whose_extra_is_installed_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Extra, "modules", ("json",))

    assert isinstance(read(tmp_path, EXTRA)["desk-1"], Account)


def test_every_venue_that_needs_modules_has_an_extra_that_is_locked() -> None:
    root = Path(__file__).resolve().parents[2]
    extras = tomllib.loads((root / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    locked = {line.partition("==")[0] for line in (root / "requirements.lock").open()}
    needy = [
        venue for venue in all_venues().values() if venue.modules and venue.name != "extra"
    ]

    assert needy
    for venue in needy:
        named = {re.split("[<>=]", each)[0] for each in extras[venue.name]}
        assert {name.replace("_", "-") for name in venue.modules} == named
        assert named <= locked


def test_two_accounts_of_one_key_stop_the_start(tmp_path: Path) -> None:
    line = refused(tmp_path, LINES + LINES.replace("desk-1", "desk-2"))

    assert "accounts.desk-2: the same key as accounts.desk-1" in line


CHOOSY = """
[accounts.desk-1]
venue = "choosy"
api_key_env = "KEY"
"""


def test_an_account_says_which_venue_it_needs(tmp_path: Path) -> None:
    """What it leaves out is as the venue's file says, and all that hangs on it follows."""
    lines = CHOOSY + '[accounts.desk-1.options]\ncategory = "spot"\nnetwork = "test"\n'
    more = lines.replace("desk-1", "desk-2").replace('network = "test"', "")
    found = read(tmp_path, lines + more.replace("KEY", "SECRET"))

    accounts = [each for each in found.values() if isinstance(each, Account)]
    assert [account.venue.chosen for account in accounts] == [
        {"category": "spot", "network": "test"},
        {"category": "spot", "network": "main"},
    ]
    assert [each.base_url for each in accounts] == [
        "https://test.invalid",
        "https://main.invalid",
    ]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("", "options.category: choosy needs it; write one of linear, inverse, spot"),
        (
            'options.category = "Spot"',
            "options.category: no category 'Spot'; write one of linear, inverse, spot",
        ),
        ('options.category = ""', "options.category: choosy needs it; write one of linear,"),
        ("options.category = 2", "options.category: input should be a valid string"),
        (
            'options = {category = "spot", settle = "usdt"}',
            "options.settle: choosy has no such option; known are category, network",
        ),
        (
            'options = {category = "spot", network = "dev"}',
            "options.network: no network 'dev'; write one of main, test",
        ),
        ('option.category = "spot"', "option: no such key; did you mean options?"),
    ],
)
def test_a_wrong_option_stops_the_start(tmp_path: Path, lines: str, said: str) -> None:
    assert f"accounts.desk-1.{said}" in refused(tmp_path, CHOOSY + lines)


def test_an_option_at_a_venue_without_any_stops_the_start(tmp_path: Path) -> None:
    line = refused(tmp_path, LINES + '[accounts.desk-1.options]\ncategory = "spot"\n')

    assert "options.category: shaped has no such option; it has none" in line


def test_two_accounts_of_one_key_stop_the_start_whatever_they_choose(tmp_path: Path) -> None:
    lines = CHOOSY + 'options.category = "spot"\n'

    line = refused(
        tmp_path, lines + lines.replace("desk-1", "desk-2").replace("spot", "linear")
    )

    assert "accounts.desk-2: the same key as accounts.desk-1" in line


def test_a_venue_has_a_variant_for_every_choice() -> None:
    chosen = [tuple(venue.chosen.values()) for venue in Choosy().variants()]

    assert chosen == [
        (category, network)
        for category in ("linear", "inverse", "spot")
        for network in ("main", "test")
    ]


@pytest.mark.parametrize(
    ("quota", "limit", "said"),
    [
        ("escalation", 11, "quotas.escalation: one request takes 12 of it; allow at least"),
        ("escalation", 12, ""),  # eight ids and four for the request
        ("cancel_batch", 1, ""),  # a request for one id leaves, too
    ],
)
def test_a_quota_holds_what_a_request_needs(
    tmp_path: Path, quota: str, limit: int, said: str
) -> None:
    lines = CHOOSY + f'options.category = "spot"\nquotas.{quota} = "{limit}/1s"\n'
    found = read(tmp_path, lines)["desk-1"]

    assert (f"accounts.desk-1.{said}" in str(found)) if said else isinstance(found, Account)


@pytest.mark.parametrize(
    ("name", "of_all"), [("CANCEL_REPORTS", "reports_all"), ("CANCEL_RECEIPTS", "receipts_all")]
)
def test_reports_and_receipts_are_for_every_job_or_for_scopes_alone(
    tmp_path: Path, name: str, of_all: str
) -> None:
    path = tmp_path / "cancel.toml"
    path.write_text(LINES, encoding="utf-8")
    env = {"CANCEL_CONFIG": str(path), **GOOD}

    assert (load(env).reports_all, load(env).receipts_all) == (True, False)
    assert getattr(load(env | {name: "all"}), of_all)
    assert not getattr(load(env | {name: "scopes"}), of_all)
    with pytest.raises(ConfigError, match=f"{name}: 'none' is neither all nor scopes"):
        load(env | {name: "none"})


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ('escalate = "symbol"', "escalate: shaped has no cancel-all of a symbol"),
        ('escalate = "all"', "escalate: input should be 'never' or 'symbol'"),
        ("escalate = true", "escalate: input should be 'never' or 'symbol'"),
    ],
)
def test_only_a_venue_that_cancels_by_symbol_takes_an_escalation(
    lines: str, says: str, tmp_path: Path
) -> None:
    assert says in refused(tmp_path, f"{LINES}{lines}\n")


@pytest.mark.parametrize(
    ("venue", "symbols", "says"),
    [
        ("shaped", '["BTC"]', "symbols: shaped lists the orders of all symbols, or none"),
        ("coinw", '["BTC", "B&C"]', "symbols: 'B&C' cannot be a symbol"),
        ("coinw", '["BTC", ""]', "symbols: '' cannot be a symbol"),
        ("coinw", str(["BTC"] * 21), "symbols: 21; at most 20"),
        ("coinw", '"BTC"', "symbols: input should be a valid list"),
    ],
)
def test_stated_symbols_that_mean_nothing_stop_the_start(
    tmp_path: Path, venue: str, symbols: str, says: str
) -> None:
    lines = LINES if venue == "shaped" else COINW_LINES

    assert says in refused(tmp_path, f"{lines}symbols = {symbols}\n")


def test_an_account_may_state_what_it_trades(tmp_path: Path) -> None:
    for more, expected in ("", set()), ('symbols = ["BTC", "ETH"]\n', {"BTC", "ETH"}):
        account = read(tmp_path, COINW_LINES + more)["desk-1"]
        assert isinstance(account, Account)
        assert account.symbols == expected


def test_an_account_escalates_only_where_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(all_venues(), "shaped", Sweeping())

    for lines, expected in ("", False), ('escalate = "symbol"\n', True):
        account = read(tmp_path, LINES + lines)["desk-1"]
        assert isinstance(account, Account)
        assert account.escalate is expected


@pytest.mark.parametrize(
    ("word", "seconds"), [("1s", 1), ("30s", 30), ("60m", 3600), ("1h", 3600)]
)
def test_a_dead_man_is_given_as_a_time(tmp_path: Path, word: str, seconds: int) -> None:
    account = read(tmp_path, LINES + f'dead_man = "{word}"\n')["desk-1"]

    assert isinstance(account, Account)
    assert account.dead_man_s == seconds


@pytest.mark.parametrize(
    "word", ["", "0s", "30", "1.5s", "-5s", "61m", "2h", "3601s", "99999s"]
)
def test_a_dead_man_of_another_form_or_length_stops_the_start(
    tmp_path: Path, word: str
) -> None:
    line = refused(tmp_path, LINES + f'dead_man = "{word}"\n')

    assert 'accounts.desk-1.dead_man: write it like "30s" or "5m"; from 1s to 1h' in line


def test_a_dead_man_needs_a_broker_that_keeps_heartbeats(tmp_path: Path) -> None:
    folder = {"CELERY_BROKER_URL": f"filesystem://{tmp_path}/broker"}

    line = refused(tmp_path, LINES + 'dead_man = "30s"\n', **folder)

    assert "accounts.desk-1.dead_man: the embedded broker keeps no heartbeats" in line


KRAKEN = LINES.replace("shaped", "kraken_spot").replace('private_key_env = "PRIVATE"\n', "")
KRAKEN += 'dead_man = "30s"\n'
USDM = KRAKEN.replace("kraken_spot", "binance") + 'options.product = "usdm"\n'


def timed(lines: str, tmp_path: Path) -> Account:
    account = read(tmp_path, lines)["desk-1"]
    assert isinstance(account, Account), account
    return account


def test_an_account_has_a_timer_only_where_it_says_so(tmp_path: Path) -> None:
    plain = timed(KRAKEN, tmp_path)
    of_account = timed(KRAKEN + 'venue_timer = "5m"\n', tmp_path)
    symbols = 'venue_timer_symbols = ["BTCUSDT", "ETHUSDT", "BTCUSDT"]\n'
    of_symbols = timed(USDM + 'venue_timer = "60s"\n' + symbols, tmp_path)

    assert (plain.timer_s, plain.timer_symbols) == (0, ("",))
    assert (of_account.timer_s, of_account.timer_symbols) == (300, ("",))
    assert (of_symbols.timer_s, of_symbols.timer_symbols) == (60, ("BTCUSDT", "ETHUSDT"))


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (LINES + 'venue_timer = "60s"', "venue_timer: shaped has no timer that is kept here"),
        (
            KRAKEN.replace('dead_man = "30s"\n', "") + 'venue_timer = "60s"',
            "venue_timer: it needs a dead_man, whose producers keep it",
        ),
        (KRAKEN + 'venue_timer = "9s"', 'venue_timer: write it like "60s"; from 10s to 86399s'),
        (
            KRAKEN + 'timeout = 20.5\nvenue_timer = "40s"',
            'venue_timer: write it like "60s"; from 41s to',
        ),
        (KRAKEN + 'venue_timer = "24h"', "venue_timer: write it like"),
        (KRAKEN + 'venue_timer = "60"', "venue_timer: write it like"),
        (KRAKEN + "venue_timer = true", "venue_timer: input should be a valid string"),
        (
            USDM + 'venue_timer = "60s"',
            "venue_timer_symbols: binance has a timer for each symbol; name them",
        ),
        (USDM + 'venue_timer_symbols = ["BTCUSDT"]', "venue_timer_symbols: for a venue_timer"),
        (
            KRAKEN + 'venue_timer = "60s"\nvenue_timer_symbols = ["XBTUSD"]',
            "venue_timer_symbols: for a venue_timer of a venue that has one for each symbol",
        ),
        (USDM.replace("usdm", "spot") + 'venue_timer = "60s"', "binance has no timer"),
    ],
)
def test_a_timer_that_cannot_be_kept_stops_the_start(
    lines: str, says: str, tmp_path: Path
) -> None:
    assert says in refused(tmp_path, lines + "\n")
