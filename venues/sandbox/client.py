"""The client of the control API, for tests, demo and bench; and how to start a sandbox."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import requests

#: seconds for the sandbox to come up, to end, and for one control request
START_S, STOP_S, CONTROL_S = 15.0, 5.0, 60.0


class SandboxError(Exception):
    """The sandbox refused a control request, did not start, or is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BookOrder:
    """An order as it is on the sandbox's book."""

    venue: str
    api_key: str
    id: str
    symbol: str
    ord_type: str
    state: str
    client_order_id: str
    parent_id: str
    placed_id: str
    product: str
    side: str
    triggered: bool
    quantity: int
    filled: int
    purged: bool
    created_ms: int
    updated_ms: int
    canceled_by: str
    canceled_at_s: float | None
    asked: int
    canceled_times: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueRequest:
    """One venue request as the sandbox judged it; times are `time.monotonic()` of this host."""

    received_s: float
    at_s: float
    venue: str
    api_key: str
    method: str
    path: str
    route: str
    ids_count: int
    ids: Sequence[str]
    outcome: str
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitUse:
    """What one key did under one limit; the maxima are of any one window, ever."""

    venue: str
    api_key: str
    limit: str
    quota: str
    requests: int
    throttled: int
    max_in_window: int
    max_counted: int
    share: float


class SandboxClient:
    """The control API of one sandbox, which listens at `url`."""

    def __init__(self, url: str, process: subprocess.Popen[str] | None = None) -> None:
        self.url = url.rstrip("/")
        self._process = process
        self._session = requests.Session()
        self._session.trust_env = False

    def _call(
        self, method: str, name: str, body: Any = None, query: Mapping[str, str] | None = None
    ) -> Any:
        try:
            reply = self._session.request(
                method,
                f"{self.url}/_sandbox/{name}",
                json=body,
                params=query,
                timeout=CONTROL_S,
            )
        except requests.RequestException as error:
            raise SandboxError(self._why_gone(error)) from error
        if reply.status_code != 200:
            raise SandboxError(f"{method} {name}: {reply.json()['error']}")
        return reply.json()

    def _why_gone(self, error: Exception) -> str:
        code = self._process.poll() if self._process else None
        if code is not None:
            return f"the sandbox process has ended with code {code}"
        return f"the sandbox at {self.url} does not answer: {error}"

    def close(self) -> None:
        """Close the connections of this client."""
        self._session.close()

    def add_account(
        self,
        venue: str,
        api_key: str,
        api_secret: str | None,
        *,
        permissions: Sequence[str] = ("read", "trade"),
    ) -> None:
        """Make a key known to a venue; without a secret it can only be used unsigned."""
        account = {"venue": venue, "api_key": api_key, "api_secret": api_secret}
        self._call("POST", "accounts", account | {"permissions": list(permissions)})

    def seed(self, orders: Iterable[Mapping[str, Any]]) -> int:
        """Put orders on the book: venue, api_key, id and symbol, and what else differs."""
        return int(self._call("POST", "orders", [dict(o) for o in orders])["seeded"])

    def book(
        self, *, venue: str = "", api_key: str = "", ids: Iterable[str] = ()
    ) -> list[BookOrder]:
        """Read the book, of one venue, key or some ids (venue or client ids) if given."""
        query = {"venue": venue, "api_key": api_key, "id": ",".join(ids)}
        return [BookOrder(**order) for order in self._call("GET", "orders", query=query)]

    def order(self, venue: str, order_id: str) -> BookOrder:
        """Read one order; raise SandboxError if it is not on the book."""
        found = [o for o in self.book(venue=venue, ids=[order_id]) if o.id == order_id]
        if not found:
            raise SandboxError(f"no order {order_id} at {venue}")
        return found[0]

    def clear_book(self) -> None:
        """Take every order off the book."""
        self._call("DELETE", "orders")

    def set_state(
        self,
        venue: str,
        order_id: str,
        state: str | None = None,
        *,
        filled: int | None = None,
        purged: bool | None = None,
        triggered: bool | None = None,
    ) -> BookOrder:
        """Make an order something else, as the market or the venue would."""
        change = {"state": state, "filled": filled, "purged": purged, "triggered": triggered}
        given = {name: value for name, value in change.items() if value is not None}
        return BookOrder(**self._call("POST", f"orders/{venue}/{order_id}/state", given))

    def fire(self, venue: str, order_id: str, child_id: str, **child: Any) -> BookOrder:
        """Fire a conditional order; of its child: `state`, `filled`, `ord_type`, `late_s`."""
        given = {"id": child_id, **child}
        return BookOrder(**self._call("POST", f"orders/{venue}/{order_id}/fire", given))

    def fault(self, kind: str, **fields: Any) -> int:
        """Order a fault (selectors and parameters as keywords); return its number."""
        return int(self._call("POST", "faults", {"kind": kind, **fields})["ids"][0])

    def faults(self) -> list[dict[str, Any]]:
        """List the ordered faults, each with how often it `fired`."""
        return list(self._call("GET", "faults"))

    def clear_faults(self) -> None:
        """Order no fault any more."""
        self._call("DELETE", "faults")

    def settings(self, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Change settings, if any are given; return them all."""
        if changes is None:
            return dict(self._call("GET", "settings"))
        return dict(self._call("POST", "settings", dict(changes)))

    def limits(self, *, venue: str = "", api_key: str = "") -> list[LimitUse]:
        """Tell what each key did under each limit."""
        uses = [LimitUse(**use) for use in self._call("GET", "limits")]
        return [u for u in uses if venue in ("", u.venue) and api_key in ("", u.api_key)]

    def reset_limits(self) -> None:
        """Forget every window and penalty; the quotas stay."""
        self._call("DELETE", "limits")

    def requests(self, *, since_s: float | None = None) -> list[VenueRequest]:
        """List the venue requests, those received after a monotonic time if given."""
        query = {} if since_s is None else {"since": repr(since_s)}
        return [VenueRequest(**r) for r in self._call("GET", "requests", query=query)]

    def clear_requests(self) -> None:
        """Forget every venue request."""
        self._call("DELETE", "requests")

    def timers(self) -> dict[str, list[dict[str, Any]]]:
        """Tell which timers are `armed`, each with `fires_in_s`, and which have `fired`."""
        return dict(self._call("GET", "timers"))

    def incidents(self) -> list[dict[str, Any]]:
        """List what must not happen: trades, followed redirects, unknown routes, warnings."""
        return list(self._call("GET", "incidents"))

    def clear_incidents(self) -> None:
        """Forget every incident."""
        self._call("DELETE", "incidents")

    def reset(self) -> None:
        """Start again with nothing but the defaults."""
        self._call("DELETE", "everything")

    def health(self) -> dict[str, Any]:
        """Ask whether the sandbox lives."""
        return dict(self._call("GET", "health"))

    def time_s(self) -> float:
        """Read the sandbox's monotonic clock."""
        return float(self._call("GET", "time")["monotonic_s"])


@contextmanager
def start_sandbox(
    config: Mapping[str, Any] | None = None, *, port: int = 0
) -> Iterator[SandboxClient]:
    """Run a sandbox process for the length of a `with` block."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file, _errors() as errors:
        json.dump(config or {}, file)
        file.flush()
        command = [sys.executable, "-m", "venues.sandbox", "--port", str(port)]
        process = subprocess.Popen(  # noqa: S603 (our own command)
            [*command, "--config", file.name],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=_environment(),
        )
        try:
            client = SandboxClient(_ready_url(process, errors), process)
            yield client
            client.close()
        finally:
            _stop(process)


def _environment() -> dict[str, str]:
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(p for p in (root, os.environ.get("PYTHONPATH")) if p)
    return os.environ | {"PYTHONPATH": path}


def _errors() -> IO[str]:
    return tempfile.TemporaryFile("w+")


def _ready_url(process: subprocess.Popen[str], errors: IO[str]) -> str:
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        process.wait(START_S)
        errors.seek(0)
        raise SandboxError(f"the sandbox did not start: {errors.read().strip()}")
    return str(json.loads(line)["url"])


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()
