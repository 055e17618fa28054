"""The accounts file and the environment, read once at start and checked to the last key."""

from __future__ import annotations

import ipaddress
import math
import os
import re
import ssl
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from venues import all_venues
from venues.base import Quota, Venue
from venues.credential import Credential, Part
from venues.extras import import_extra
from venues.words import SYMBOL_SHAPE

DEFAULT_BROKER_URL = "amqp://guest:guest@127.0.0.1:5672//"
DEFAULT_CONFIG = "./cancel.toml"
#: By py-amqp's words: certificates of the authorities that count in place of the public ones,
#: a certificate of our own with its key, and the name in the broker's where it is reached by
#: another one.
_BROKER_TLS = {
    "ca_certs": "CANCEL_BROKER_CA_FILE",
    "certfile": "CANCEL_BROKER_CERT_FILE",
    "keyfile": "CANCEL_BROKER_KEY_FILE",
    "server_hostname": "CANCEL_BROKER_SERVER_NAME",
}
_SPAN = re.compile(r"(?P<count>\d{1,4})(?P<unit>[smh])")
_UNIT_S = {"s": 1, "m": 60, "h": 3600}
#: How long a producer may be silent at least and at most (seconds) before its silence kills.
LEAST_DEAD_MAN_S, MOST_DEAD_MAN_S = 1, 3600
#: The shortest timer of a venue (seconds): a broker notices the death of a worker's machine
#: after two heartbeats of five seconds, and only then another worker renews it.
LEAST_TIMER_S = 10
_RATE = re.compile(r"(?P<limit>[1-9]\d{0,6})/(?P<window>\d{1,5}(?:\.\d{1,3})?)s")
#: Ids and MiB of messages that wait in a lane process, unless the environment says otherwise: a
#: minute's work of eight accounts that cancel 200 ids a second, and some 200 MB of memory. What
#: Each symbol that an account states is a request of each round of a kill, before limit orders.
MOST_STATED = 20
#: is beyond waits at the broker, where it costs nothing and merges with nothing.
HELD_IDS, HELD_MIB = 100_000, 64
#: More do not help: Celery's process, which publishes the outcomes, is then the bottleneck.
#: Start another worker.
MOST_LANE_PROCESSES = 4
#: Variables that tell other programs how requests leave, and what does so here.
_NOT_USED = {"HTTPS_PROXY": "proxy", "ALL_PROXY": "proxy", "REQUESTS_CA_BUNDLE": "ca_file"}
#: How the accounts file says where a secret is: in a variable or in a file.
_HOW = ("env", "file")
NO_ACCOUNT_NAME = "is no account name (letters, digits, _ and -, at most 64)"
AccountName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class ConfigError(Exception):
    """The accounts file or the environment is wrong; one line: where, what, how to mend it."""


class AccountTable(BaseModel):
    """One `[accounts.NAME]` table of the accounts file.

    Beside these keys it has `<part>_env` or `<part>_file` for the parts that its venue names.
    """

    model_config = ConfigDict(extra="allow", strict=True)
    __pydantic_extra__: dict[str, Any] = Field(init=False)

    venue: str = ""
    base_url: str | None = None
    timeout: float = Field(default=5.0, gt=0, le=60)
    connect_timeout: float = Field(default=1.0, gt=0, le=60)
    keep_warm: bool = True
    proxy: str | None = None
    proxy_env: str | None = None
    proxy_file: str | None = None
    ca_file: str | None = None
    client_cert: str | None = None
    source_address: str | None = None
    verify: Literal["when_needed", "always"] = "when_needed"
    escalate: Literal["never", "symbol"] = "never"
    symbols: list[str] = []
    dead_man: str | None = None
    venue_timer: str | None = None
    venue_timer_symbols: list[str] = []
    quotas: dict[str, str] = {}
    options: dict[str, str] = {}

    @property
    def parts(self) -> list[str]:
        """The names of what authenticates at its venue."""
        return _parts_at(self.venue)


class _File(BaseModel):
    """The accounts file as a whole."""

    model_config = ConfigDict(extra="forbid", strict=True)

    accounts: dict[AccountName, AccountTable] = Field(min_length=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Egress:
    """How requests leave for a venue: what accounts have in common that share connections."""

    #: Seconds for each step of making a connection: the address and TCP, then TLS.
    connect_timeout_s: float = 1.0
    #: The URL of a proxy that makes the connections (CONNECT); it may hold a login.
    proxy: str | None = field(default=None, repr=False)
    #: Certificates of the authorities that count in place of the public ones.
    ca_file: str | None = None
    #: Our own certificate and its key, in one file.
    client_cert: str | None = None
    source_address: str | None = None


DIRECT = Egress()


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A name that jobs use, with all that it takes to speak to its venue."""

    name: str
    venue: Venue
    credential: Credential
    base_url: str
    timeout_s: float = 5.0
    egress: Egress = DIRECT
    keep_warm: bool = True
    verify: bool = False
    #: A kill's order that stays open is followed by a cancel-all of its symbol.
    escalate: bool = False
    #: What the account is said to trade, for lists that show the orders of one symbol alone.
    symbols: frozenset[str] = frozenset()
    quotas: Mapping[str, Quota] = field(default_factory=dict)
    #: A producer that is silent for so long has all orders canceled; 0: none is watched.
    dead_man_s: int = 0
    #: The venue's own timer fires after so long without a renewal; 0: it is left alone.
    timer_s: int = 0
    #: Each with a timer of its own; "": one of the whole account.
    timer_symbols: tuple[str, ...] = ("",)

    @property
    def shares_address(self) -> bool:
        """Whether other accounts at the same base URL draw from a quota of this one."""
        return any(quota.scope == "address" for quota in self.quotas.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the worker was started with; `warnings` are lines for its log."""

    broker_url: str
    accounts: Mapping[str, Account]
    warnings: tuple[str, ...] = ()
    #: What waits in one lane process at most, of kills and of routine jobs each.
    held_ids: int = HELD_IDS
    held_bytes: int = HELD_MIB << 20
    #: Whether jobs with orders have a report, too.
    reports_all: bool = True
    receipts_all: bool = False


def account_tables(env: Mapping[str, str]) -> Mapping[str, AccountTable]:
    """Return the accounts as their file has them; no secret is read.

    Raises:
        ConfigError: the file cannot be read.
    """
    return _read(_path(env)).accounts


def _path(env: Mapping[str, str]) -> Path:
    return Path(env.get("CANCEL_CONFIG") or DEFAULT_CONFIG)


def load(env: Mapping[str, str]) -> Settings:
    """Read the accounts file that `env` names.

    Raises:
        ConfigError: in one line, where the fault is and how to mend it.
    """
    path = _path(env)
    tables = _read(path)
    warnings: list[str] = []
    accounts: dict[str, Account] = {}
    for name, table in tables.accounts.items():
        account = _account(name, table, env, str(path), warnings)
        accounts[name] = _of_its_own(account, accounts.values(), str(path))
    leave = [each.egress for each in accounts.values() if each.base_url.startswith("https:")]
    warnings += dict.fromkeys(note for egress in leave for note in not_used(env, egress))
    return Settings(
        broker_url=broker_url(env),
        accounts=accounts,
        warnings=tuple(warnings),
        held_ids=_number(env, "CANCEL_HELD_IDS", HELD_IDS, 10_000_000),
        held_bytes=_number(env, "CANCEL_HELD_MIB", HELD_MIB, 1 << 16) << 20,
        reports_all=_of_all(env, "CANCEL_REPORTS", "all"),
        receipts_all=_of_all(env, "CANCEL_RECEIPTS", "scopes"),
    )


def _of_all(env: Mapping[str, str], name: str, default: str) -> bool:
    asked = env.get(name) or default
    if asked not in ("all", "scopes"):
        raise ConfigError(f"{name}: {asked!r} is neither all nor scopes")
    return asked == "all"


def load_each(env: Mapping[str, str]) -> dict[str, Account | ConfigError]:
    """Read each account by itself, so that the faults of all of them show at once.

    Raises:
        ConfigError: the file as a whole cannot be read.
    """
    path = _path(env)
    found: dict[str, Account | ConfigError] = {}
    for name, table in _read(path).accounts.items():
        try:
            account = _account(name, table, env, str(path), [])
            others = [other for other in found.values() if isinstance(other, Account)]
            found[name] = _of_its_own(account, others, str(path))
        except ConfigError as error:
            found[name] = error
    return found


def not_used(env: Mapping[str, str], egress: Egress) -> list[str]:
    """Say which variables of the environment somebody might believe to be used."""
    keys = ((name, _NOT_USED.get(name.upper(), "")) for name, value in env.items() if value)
    return [
        f"{name} of the environment is not used; set {key} for the account that needs it"
        for name, key in keys
        if key and getattr(egress, key) is None
    ]


def _of_its_own(account: Account, others: Iterable[Account], path: str) -> Account:
    """Return the account, if no other has its key: each would use up the key's whole quota.

    Nonces of one key must rise, too, and only one lane can see to that.
    """
    for other in others:
        if account.venue.name == other.venue.name and account.credential.has_key_of(
            other.credential
        ):
            where = f"{path}: accounts.{account.name}"
            raise ConfigError(
                f"{where}: the same key as accounts.{other.name}, whose quotas hold once for "
                "both; keep one of them, or give each a key of its own"
            )
    return account


def broker_url(env: Mapping[str, str]) -> str:
    """Return the broker's address from the environment, or the contract's default.

    Raises:
        ConfigError: a word of it ends elsewhere than its writer meant; nothing of it is said.
    """
    url = env.get("CELERY_BROKER_URL") or DEFAULT_BROKER_URL
    if not all(_is_readable(each) for each in url.split(";")):
        raise ConfigError("CELERY_BROKER_URL cannot be read; percent-encode the password")
    return url


def _is_readable(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    # A password with one of / ? # ends the host's part, and what should be it stands behind.
    behind = parts.path + parts.query + parts.fragment
    return port != 0 and not (parts.scheme.startswith(("amqp", "pyamqp")) and "@" in behind)


def broker_tls(env: Mapping[str, str]) -> dict[str, Any]:
    """Return how a broker of `amqps://` is known, in the words of Python's `ssl`.

    Its certificate must be of an authority that counts, and for the name it is reached by.

    Raises:
        ConfigError: a file of it is not there.
    """
    found: dict[str, Any] = {"cert_reqs": ssl.CERT_REQUIRED}
    for word, name in _BROKER_TLS.items():
        if value := env.get(name):
            if word != "server_hostname" and not Path(value).is_file():
                raise ConfigError(f"{name}: {value} is no file")
            found[word] = value
    return found


def _read(path: Path) -> _File:
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such file; copy cancel.toml.example there or set CANCEL_CONFIG"
        ) from None
    except IsADirectoryError:
        raise ConfigError(
            f"{path}: a folder, which Docker makes where the file to mount is missing;"
            " delete it and put the accounts file in its place"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error.__class__.__name__}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None
    try:
        tables = _File.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(f"{path}: {_first(error)}") from None
    for name, table in tables.accounts.items():
        parts = _parts_at(table.venue)
        known = [
            *AccountTable.model_fields,
            *(f"{part}_{how}" for part in parts for how in _HOW),
        ]
        for key, value in table.__pydantic_extra__.items():
            where = f"{path}: accounts.{name}.{key}"
            if key not in known:
                raise ConfigError(f"{where}: {_unknown_key(key, known, parts)}")
            if not isinstance(value, str):
                raise ConfigError(f"{where}: input should be a valid string")
    return tables


def _parts_at(venue_name: str) -> list[str]:
    """Return the names of what authenticates at a venue, or at any if there is none such."""
    venue = all_venues().get(venue_name)
    venues = [venue] if venue else all_venues().values()
    return list(dict.fromkeys(part.name for each in venues for part in each.parts))


def _first(error: ValidationError) -> str:
    """Return the fault that explains most, without the offending value: it might be a key."""
    faults = error.errors(include_input=False, include_url=False)
    # A table that is misspelt is missing under its right name, too.
    fault = next((f for f in faults if f["type"] == "extra_forbidden"), faults[0])
    where = [str(part) for part in fault["loc"]] or ["accounts"]
    if where[-1] == "[key]":
        return f'accounts: "{where[1]}" {NO_ACCOUNT_NAME}'
    place = ".".join(where)
    if fault["type"] == "extra_forbidden":
        return f"{place}: {_unknown_key(where[-1], _File.model_fields)}"
    return f"{place}: {fault['msg'][0].lower()}{fault['msg'][1:]}"


def _unknown_key(key: str, known: Iterable[str], parts: Iterable[str] = ()) -> str:
    for part in parts:
        what = _called(part)
        if key.lower() in (what, part, part.replace("_", "")):
            return f"a {what} does not belong in this file; use {part}_env or {part}_file"
    near = get_close_matches(key, known, 1)
    return f"no such key; did you mean {near[0]}?" if near else "no such key"


def _account(
    name: str, table: AccountTable, env: Mapping[str, str], path: str, warnings: list[str]
) -> Account:
    where = f"{path}: accounts.{name}"
    venue = all_venues().get(table.venue)
    if venue is None:
        known = ", ".join(sorted(all_venues()))
        raise ConfigError(f"{where}.venue: no venue {table.venue!r}; known are {known}")
    if missing := [name for name in venue.modules if not _is_there(name)]:
        install = f"pip install 'cancel-worker[{venue.name}]'"
        raise ConfigError(
            f"{where}.venue: {venue.name} needs {' and '.join(missing)}; run: {install}"
        )
    given = table.__pydantic_extra__
    parts = {part.name: _part(where, part, given, env) for part in venue.parts}
    if chosen := _options(f"{where}.options", venue, table.options):
        venue = type(venue)(chosen)
    base_url = _base_url(where, table.base_url or venue.base_url)
    return Account(
        name=name,
        venue=venue,
        credential=Credential(**parts),
        base_url=base_url,
        timeout_s=table.timeout,
        egress=_egress(where, table, base_url, env),
        keep_warm=table.keep_warm,
        verify=table.verify == "always",
        escalate=_escalates(where, venue, table.escalate),
        symbols=_symbols(where, venue, table.symbols),
        dead_man_s=_dead_man_s(where, table.dead_man, env),
        timer_s=_timer_s(where, venue, table),
        timer_symbols=_timer_symbols(where, venue, table),
        quotas=_quotas(where, venue, table.quotas, warnings),
    )


def _escalates(where: str, venue: Venue, asked: str) -> bool:
    if asked == "symbol" and not any(route.needs_symbol for route in venue.cancel_alls):
        raise ConfigError(f"{where}.escalate: {venue.name} has no cancel-all of a symbol")
    return asked == "symbol"


def _symbols(where: str, venue: Venue, stated: Sequence[str]) -> frozenset[str]:
    if stated and not any(route.needs_symbol for route in venue.lists):
        every = f"{venue.name} lists the orders of all symbols, or none; take it out"
        raise ConfigError(f"{where}.symbols: {every}")
    if len(stated) > MOST_STATED:
        raise ConfigError(f"{where}.symbols: {len(stated)}; at most {MOST_STATED}")
    odd = next((word for word in stated if not SYMBOL_SHAPE.fullmatch(word)), None)
    if odd is not None:
        raise ConfigError(f"{where}.symbols: {odd[:60]!r} cannot be a symbol")
    return frozenset(stated)


def _is_there(module: str) -> bool:
    """Import a module of an extra now, at the start: a kill must not wait for it."""
    try:
        import_extra(module)
    except ImportError:
        return False
    return True


def _options(where: str, venue: Venue, given: Mapping[str, str]) -> dict[str, str]:
    """Return a value for every option of the venue."""
    chosen = {each.name: given.get(each.name, each.default) for each in venue.options}
    for name in given:
        if name not in chosen:
            known = f"known are {', '.join(chosen)}" if chosen else "it has none"
            raise ConfigError(f"{where}.{name}: {venue.name} has no such option; {known}")
    for option in venue.options:
        if (value := chosen[option.name]) not in option.values:
            fault = f"no {option.name} {value!r}" if value else f"{venue.name} needs it"
            known = ", ".join(option.values)
            raise ConfigError(f"{where}.{option.name}: {fault}; write one of {known}")
    return chosen


def _dead_man_s(where: str, word: str | None, env: Mapping[str, str]) -> int:
    """Return after how long a silence kills; 0 if none does."""
    if word is None:
        return 0
    span = _SPAN.fullmatch(word)
    span_s = int(span["count"]) * _UNIT_S[span["unit"]] if span else 0
    if not LEAST_DEAD_MAN_S <= span_s <= MOST_DEAD_MAN_S:
        raise ConfigError(f'{where}.dead_man: write it like "30s" or "5m"; from 1s to 1h')
    if not broker_url(env).startswith(("amqp", "pyamqp")):
        fault = "the embedded broker keeps no heartbeats; use RabbitMQ, or take it out"
        raise ConfigError(f"{where}.dead_man: {fault}")
    return span_s


def _timer_s(where: str, venue: Venue, table: AccountTable) -> int:
    """Return the time of the venue's own timer; 0 if it is left alone."""
    if table.venue_timer is None:
        return 0
    if venue.timer is None:
        fault = f"{venue.name} has no timer that is kept here; take it out"
        raise ConfigError(f"{where}.venue_timer: {fault}")
    if table.dead_man is None:
        raise ConfigError(f"{where}.venue_timer: it needs a dead_man, whose producers keep it")
    # A worker that stops gives its lanes away once what is in flight is answered.
    least_s = max(LEAST_TIMER_S, venue.timer.least_s, math.ceil(2 * table.timeout))
    most_s = venue.timer.most_s
    span = _SPAN.fullmatch(table.venue_timer)
    span_s = int(span["count"]) * _UNIT_S[span["unit"]] if span else 0
    if not least_s <= span_s <= most_s:
        bounds = f"from {least_s}s to {most_s}s at {venue.name}"
        raise ConfigError(f'{where}.venue_timer: write it like "60s"; {bounds}')
    return span_s


def _timer_symbols(where: str, venue: Venue, table: AccountTable) -> tuple[str, ...]:
    """Return the symbols whose timers are kept: "" where there is one for the whole account."""
    by_symbol = venue.timer is not None and venue.timer.route.needs_symbol
    if table.venue_timer and by_symbol and not table.venue_timer_symbols:
        fault = f"{venue.name} has a timer for each symbol; name them"
        raise ConfigError(f"{where}.venue_timer_symbols: {fault}")
    if table.venue_timer_symbols and not (table.venue_timer and by_symbol):
        fault = "for a venue_timer of a venue that has one for each symbol; take it out"
        raise ConfigError(f"{where}.venue_timer_symbols: {fault}")
    return tuple(dict.fromkeys(table.venue_timer_symbols)) or ("",)


def _part(where: str, part: Part, given: Mapping[str, str], env: Mapping[str, str]) -> str:
    """Return one part of the key; "" where the venue can do without."""
    variable, file = (given.get(f"{part.name}_{how}") for how in _HOW)
    value = _secret(where, part.name, variable, file, env)
    if not value and not part.optional:
        set_it = f"set {part.name}_env or {part.name}_file"
        raise ConfigError(f"{where}: no {_called(part.name)}; {set_it}")
    if value and not part.shape.fullmatch(value):
        raise ConfigError(f"{where}: the {_called(part.name)} is not {part.form}")
    return value


def _called(part: str) -> str:
    """Return what people call a part of a key: "secret" for `api_secret`."""
    return part.removeprefix("api_").replace("_", " ")


def _secret(
    where: str, what: str, variable: str | None, file: str | None, env: Mapping[str, str]
) -> str:
    if variable and file:
        raise ConfigError(f"{where}: both {what}_env and {what}_file; keep one")
    if variable:
        return _checked(where, f"{what}_env", env.get(variable, ""), f"variable {variable}")
    if file:
        return _checked(where, f"{what}_file", _file_text(where, what, file), f"file {file}")
    return ""


def _file_text(where: str, what: str, file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        kind = error.__class__.__name__
        raise ConfigError(f"{where}.{what}_file: {file} cannot be read ({kind})") from None


def _checked(where: str, key: str, value: str, source: str) -> str:
    if not value:
        raise ConfigError(f"{where}.{key}: {source} is empty or not set; put the value there")
    if not (value.isascii() and value.isprintable()) or " " in value:
        raise ConfigError(f"{where}.{key}: {source} holds a space or an unprintable character")
    return value


def _base_url(where: str, url: str) -> str:
    try:
        parts = urlsplit(url)
        port_ok = parts.port != 0
    except ValueError:
        raise ConfigError(f"{where}.base_url: not a URL") from None
    plain = parts.path in ("", "/") and not parts.query and not parts.fragment
    if not (parts.hostname and port_ok and plain) or parts.username or parts.password:
        raise ConfigError(f"{where}.base_url: give scheme, host and port only")
    if parts.scheme != "https" and not (parts.scheme == "http" and _loopback(parts.hostname)):
        raise ConfigError(f"{where}.base_url: use https (http only to a loopback address)")
    return f"{parts.scheme}://{parts.netloc}"


def _egress(where: str, table: AccountTable, base_url: str, env: Mapping[str, str]) -> Egress:
    # Without the public authorities, which take a tenth of a second for each account.
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _load(f"{where}.ca_file", table.ca_file, tls.load_verify_locations, "certificate")
    # Without a password OpenSSL would ask for that of an encrypted key on the terminal.
    own = partial(tls.load_cert_chain, password=str)
    _load(f"{where}.client_cert", table.client_cert, own, "certificate and plain key of it")
    if table.source_address and not _is_address(table.source_address):
        raise ConfigError(f"{where}.source_address: not an IP address")
    return Egress(
        connect_timeout_s=table.connect_timeout,
        proxy=_proxy(where, table, base_url, env),
        ca_file=table.ca_file,
        client_cert=table.client_cert,
        source_address=table.source_address,
    )


def _load(where: str, file: str | None, load: Callable[[str], object], what: str) -> None:
    try:
        if file:
            load(file)
    except ssl.SSLError:
        raise ConfigError(f"{where}: {file} holds no {what} (PEM)") from None
    except OSError as error:
        kind = error.__class__.__name__
        raise ConfigError(f"{where}: {file} cannot be read ({kind})") from None


def _proxy(
    where: str, table: AccountTable, base_url: str, env: Mapping[str, str]
) -> str | None:
    hidden = _secret(where, "proxy", table.proxy_env, table.proxy_file, env)
    if table.proxy and hidden:
        raise ConfigError(f"{where}: both proxy and proxy_env or proxy_file; keep one")
    if table.proxy and "@" in table.proxy:
        use = "use proxy_env or proxy_file"
        raise ConfigError(f"{where}.proxy: a login does not belong in this file; {use}")
    proxy = table.proxy or hidden
    if not proxy:
        return None
    try:
        parts = urlsplit(proxy)
        usable = parts.scheme == "http" and parts.hostname and parts.port
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError(f"{where}.proxy: write it like http://10.0.0.5:3128")
    if not base_url.startswith("https:"):
        raise ConfigError(f"{where}.proxy: needs a base_url with https")
    return proxy


def _loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _quotas(
    where: str, venue: Venue, overrides: Mapping[str, str], warnings: list[str]
) -> dict[str, Quota]:
    quotas = dict(venue.quotas)
    for name, rate in overrides.items():
        if name not in quota_names():
            known = ", ".join(sorted(quota_names()))
            raise ConfigError(f"{where}.quotas.{name}: no such quota; known are {known}")
        given = parse_rate(rate)
        if given is None:
            raise ConfigError(f'{where}.quotas.{name}: write it like "10/1s", or "off"')
        if name not in venue.quotas:
            warnings.append(f"{where}.quotas.{name}: {venue.name} has no such quota")
        elif given == "off":
            del quotas[name]
        else:
            limit, window_s = given
            if limit < (dearest := _dearest(venue, name)):
                fault = f"one request takes {dearest} of it; allow at least as many"
                raise ConfigError(f"{where}.quotas.{name}: {fault}")
            quotas[name] = Quota(limit, window_s, venue.quotas[name].scope)
    return quotas


def _dearest(venue: Venue, quota: str) -> int:
    """Return the most tokens of a quota that a request needs before it can leave."""
    routes = [*venue.routes] + ([venue.timer.route] if venue.timer else [])
    return max(
        route.tokens(quota, route.max_ids if route.cost_of(quota).per_request else 1)
        for route in routes
        if quota in route.quotas
    )


def quota_names() -> set[str]:
    """Return the names of quotas that any venue has."""
    return {name for venue in all_venues().values() for name in venue.quotas}


def parse_rate(rate: str) -> tuple[int, float] | Literal["off"] | None:
    """Return requests and seconds of a rate like "10/1s"; None if it is not one."""
    if rate == "off":
        return "off"
    found = _RATE.fullmatch(rate)
    if found is None or float(found["window"]) <= 0:
        return None
    return int(found["limit"]), float(found["window"])


def log_form(env: Mapping[str, str], is_tty: bool) -> Literal["json", "console"]:
    """Return how the log is written: as the environment says, else by where it goes.

    Raises:
        ConfigError: `CANCEL_LOG` is neither json nor console.
    """
    asked = env.get("CANCEL_LOG", "")
    if asked not in ("", "json", "console"):
        raise ConfigError(f"CANCEL_LOG: {asked!r} is neither json nor console")
    if asked:
        return "json" if asked == "json" else "console"
    return "console" if is_tty else "json"


def lane_processes(env: Mapping[str, str], cores: int) -> int:
    """Return in how many processes a worker drives its lanes: one for each core, or as asked.

    Raises:
        ConfigError: `CANCEL_LANE_PROCESSES` is no number of processes.
    """
    default = max(1, min(cores, MOST_LANE_PROCESSES))
    return _number(env, "CANCEL_LANE_PROCESSES", default, 64)


def _number(env: Mapping[str, str], name: str, default: int, most: int) -> int:
    asked = env.get(name, "")
    if not asked:
        return default
    if not asked.isascii() or not asked.isdigit() or not 1 <= int(asked) <= most:
        raise ConfigError(f"{name}: {asked!r} is no number from 1 to {most}")
    return int(asked)


def metrics_address(env: Mapping[str, str]) -> tuple[str, int] | None:
    """Return host and port for the statistics; None if `CANCEL_METRICS` is not set.

    Raises:
        ConfigError: `CANCEL_METRICS` is not an address.
    """
    asked = env.get("CANCEL_METRICS", "")
    if not asked:
        return None
    try:
        parts = urlsplit(f"//{asked}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or not port or parts.netloc != asked or parts.username is not None:
        raise ConfigError(
            f"CANCEL_METRICS: {asked!r} is no address; write it like 127.0.0.1:9464"
        )
    return host, port


def environment() -> Mapping[str, Any]:
    """Return the process's environment; the one place that reads it."""
    return os.environ
