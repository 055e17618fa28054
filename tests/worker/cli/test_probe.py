"""`check --account`: signed reads of one account, at every venue that the sandbox plays."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import Done, Shell
from tests.support.hyperliquid import ADDRESS, KEY, Book, served
from tests.support.worker import accounts_file
from venues.sandbox.client import SandboxClient, start_sandbox

SECRET = "planted-secret-0123456789"
#: Each account's venue, and what it chooses.
DESKS = {
    "binance-usdm": ("binance", 'options.product = "usdm"'),
    "binance-spot": ("binance", 'options.product = "spot"'),
    "bybit": ("bybit", 'options.category = "linear"'),
    "coinw": ("coinw", ""),
    "kuna": ("kuna", ""),
    "ztdx": ("ztdx", ""),
}
COUNTS = {
    "binance-usdm": "2 (list_algo: 0, list_open: 2)",
    "binance-spot": "0 (list_open: 0)",
    "bybit": "not all are known (order: asked for one order, which nobody has)",
    # One list shows the other's orders, too: each is counted once.
    "coinw": "2 or more (list_trailing_stop: 0, list_tp_sl: 0, list_limit: 2, list_market: 2,"
    " list_trigger: not told without a symbol)",
    "kuna": "2 (list_active: 2)",
    "ztdx": "2 (list_open: 2)",
}


def key_of(venue: str) -> str:
    return f"planted-key-of-{venue}"


def order_id(venue: str, number: int) -> str:
    uuid = f"3fa42833-9508-4061-8d80-{number:012d}"
    return uuid if venue in ("kuna", "ztdx", "bybit") else str(33308750270880000 + number)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxClient]:
    with start_sandbox() as client:
        for venue in dict.fromkeys(venue for venue, _ in DESKS.values()):
            client.add_account(venue, key_of(venue), SECRET)
            product = {"product": "usdm"} if venue == "binance" else {}
            client.seed(
                {"venue": venue, "api_key": key_of(venue), "id": order_id(venue, n)}
                | {"symbol": "BTCUSDT", "ord_type": "limit"} | product
                for n in (1, 2)
            )  # fmt: skip
        yield client


@pytest.fixture
def desk(sandbox: SandboxClient, tmp_path: Path) -> Iterator[Shell]:
    """A shell whose broker does not answer: none is needed."""
    env: dict[str, str] = {}
    for name, (venue, extra) in DESKS.items():  # one file each: two have one key
        account = {"venue": venue, "base_url": sandbox.url, "key": key_of(venue)}
        more = {"secret": SECRET, "extra": [extra] if extra else []}
        env |= accounts_file({name: account | more}, tmp_path / f"{name}.toml")
    sandbox.clear_requests()
    yield Shell(tmp_path, env | {"CELERY_BROKER_URL": "amqp://guest:x@127.0.0.1:9//"})
    sandbox.clear_faults()
    sandbox.settings({"clock_ms": None})
    sandbox.reset_limits()


def checked(desk: Shell, name: str, **env: str) -> Done:
    env["CANCEL_CONFIG"] = f"{name}.toml"
    return Shell(desk.folder, desk.env | env).run("check", "--account", name, "--json")


def found(done: Done) -> dict[str, dict[str, Any]]:
    return {line["what"].split(" ")[0]: line for line in done.lines}


@pytest.mark.parametrize("name", DESKS)
def test_a_right_key_shows_what_rests_and_changes_nothing(
    desk: Shell, sandbox: SandboxClient, name: str
) -> None:
    done = checked(desk, name)

    findings = found(done)
    assert done.code == 0, done.out
    assert {line["state"] for line in done.lines} == {"ok"}, done.out
    assert findings["open"]["detail"] == COUNTS[name]
    assert findings["key"]["detail"] == "the venue takes it, and its signature"
    assert "may read orders" in findings["permission"]["detail"]
    assert "the same within" in findings["clock"]["detail"]
    assert {request.method for request in sandbox.requests()} == {"GET"}
    assert all(order.state == "open" for order in sandbox.book())


@pytest.mark.parametrize("part", ["KEY", "SECRET"])
@pytest.mark.parametrize("name", DESKS)
def test_a_wrong_key_is_asked_once_and_told_in_the_words_of_the_venue(
    desk: Shell, sandbox: SandboxClient, name: str, part: str
) -> None:
    stem, venue = name.upper().replace("-", "_"), DESKS[name][0]
    wrong = {f"{stem}_{part}": f"no-such-{part.lower()}-9876"}
    if venue == "binance" and part == "KEY":
        # The sandbox takes a key that it does not know for one of ZTDX, whose paths are alike.
        wrong = {}
        sandbox.fault("auth", venue=venue, times=1)

    done = checked(desk, name, **wrong)

    assert done.code == 1, done.out
    assert found(done)["key"]["state"] == "not ok"
    assert found(done)["key"]["detail"].startswith("refused (the venue says ")
    assert "open" not in found(done)
    assert len(sandbox.requests()) == 1
    assert not [word for word in (*wrong.values(), key_of(venue), SECRET) if word in done.out]


@pytest.mark.parametrize(
    ("venue", "fault", "what", "said"),
    [
        ("kuna", {"kind": "permission"}, "permission", "refused (the venue says "),
        (
            "ztdx",
            {"kind": "html", "status": 403},
            "key",
            "not read: HTTP 403, no answer that its pages",
        ),
        (
            "ztdx",
            {"kind": "html", "status": 200},
            "key",
            "not read: HTTP 200, no answer that its pages",
        ),
        ("ztdx", {"kind": "throttle"}, "key", "try again later"),
        (
            "ztdx",
            {"kind": "status", "status": 200, "json": {"code": -7, "msg": "whatever"}},
            "key",
            "the answer is not understood (the venue says -7 whatever)",
        ),
    ],
)
def test_what_went_wrong_is_told_apart(
    desk: Shell, sandbox: SandboxClient, venue: str, fault: dict[str, Any], what: str, said: str
) -> None:
    sandbox.fault(**fault, venue=venue, times=1)

    done = checked(desk, venue)

    assert done.code == 1, done.out
    assert (found(done)[what]["state"], said in found(done)[what]["detail"]) == ("not ok", True)
    assert "open" not in found(done)


def test_a_clock_that_the_venue_refuses_is_told(desk: Shell, sandbox: SandboxClient) -> None:
    sandbox.settings({"clock_ms": 1_445_412_480_000})

    done = checked(desk, "binance-usdm")

    assert done.code == 1
    assert "refused for its time" in found(done)["key"]["detail"]
    assert "ahead; synchronise it" in found(done)["clock"]["detail"]


def test_a_name_that_nobody_knows_is_told(tmp_path: Path) -> None:
    account = {"venue": "ztdx", "base_url": "https://no-venue.invalid", "key": "k" * 20}
    env = accounts_file({"desk": account | {"secret": SECRET}}, tmp_path / "cancel.toml")

    done = Shell(tmp_path, env).run("check", "--account", "desk", "--json")

    assert done.code == 1
    assert found(done)["https://no-venue.invalid"]["detail"] == (
        "the name no-venue.invalid cannot be resolved; check base_url and the name service"
    )


def test_a_venue_that_does_not_answer_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        account = {"venue": "ztdx", "base_url": url, "key": "k" * 20, "secret": SECRET}
        quick = {"extra": ["timeout = 0.3"]}
        env = accounts_file({"desk": account | quick}, tmp_path / "cancel.toml")

        done = Shell(tmp_path, env).run("check", "--account", "desk", "--json")

    assert done.code == 1
    assert found(done)[url]["detail"] == "does not answer (timeout); check the address"


def test_an_account_that_is_not_in_the_file_is_told(desk: Shell) -> None:
    done = desk.run("check", "--account", "nosuch", "--json", CANCEL_CONFIG="ztdx.toml")

    assert done.code == 1
    assert found(done)["account"]["detail"] == "not in the accounts file, which has ztdx"


def test_one_account_and_all_lanes_are_two_questions(desk: Shell) -> None:
    done = desk.run("check", "--account", "ztdx", "--deep", CANCEL_CONFIG="ztdx.toml")

    assert done.code == 2
    assert "take one" in done.err


def test_reads_that_are_not_signed_prove_nothing_of_the_key(tmp_path: Path) -> None:
    """They show whether the account's address is right."""
    book = Book({"11": "BTC", "12": "@107"})
    with served(book) as url:
        (tmp_path / "cancel.toml").write_text(
            f'[accounts.desk]\nvenue = "hyperliquid"\nbase_url = "{url}"\n'
            'api_secret_env = "KEY"\naccount_address_env = "ADDRESS"\n'
            'options.network = "testnet"\noptions.markets = "main"\n'
        )
        env = {"CANCEL_CONFIG": "cancel.toml", "KEY": KEY, "ADDRESS": ADDRESS}
        done = Shell(tmp_path, env).run("check", "--account", "desk", "--json")

    findings = found(done)
    assert done.code == 0, done.out
    assert findings["key"]["state"] == "note"
    assert findings["key"]["detail"] == "reads are not signed here; a cancel alone shows it"
    assert "permission" not in findings
    assert findings["open"]["detail"] == "2 (list_open: 2)"
    assert not book.actions
