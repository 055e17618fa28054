"""Strict rolling windows: any L+1 requests inside W seconds, and the last one is refused."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

LimitKey: TypeAlias = tuple[str, str, str]

_QUOTA = re.compile(r"(\d+)/(\d+(?:\.\d+)?)s")


@dataclass(frozen=True, slots=True)
class Quota:
    """`count` requests in any `seconds`; where not enforced it is measured only."""

    count: int
    seconds: float = 1.0
    enforced: bool = True

    @classmethod
    def parse(cls, text: str) -> Quota:
        """Read "10/1s" or "off"; raise ValueError at anything else."""
        if text == "off":
            return cls(0, 1.0, enforced=False)
        match = _QUOTA.fullmatch(text)
        if match is None or float(match[2]) <= 0:
            raise ValueError(f"a limit reads like 10/1s or off, not {text!r}")
        return cls(int(match[1]), float(match[2]))

    def __str__(self) -> str:
        return f"{self.count}/{self.seconds:g}s" if self.enforced else "off"


@dataclass(slots=True)
class Window:
    """One key's requests under one limit."""

    quota: Quota
    counted: deque[float] = field(default_factory=deque)
    arrived: deque[float] = field(default_factory=deque)
    requests: int = 0
    throttled: int = 0
    max_in_window: int = 0
    max_counted: int = 0

    def arrive(self, at_s: float) -> None:
        """Note a request, refused or not, and the most that ever came in one window."""
        self.requests += 1
        self.arrived.append(at_s)
        _expire(self.arrived, at_s - self.quota.seconds)
        self.max_in_window = max(self.max_in_window, len(self.arrived))

    def is_full(self, at_s: float, share: float, weight: int) -> bool:
        """Whether a request of that weight would be too much now."""
        _expire(self.counted, at_s - self.quota.seconds)
        most = self.quota.count * share
        return self.quota.enforced and len(self.counted) + weight > most

    def count(self, at_s: float, weight: int) -> None:
        """Let the request use up its place, or as many as it weighs."""
        self.counted.extend([at_s] * weight)
        self.max_counted = max(self.max_counted, len(self.counted))


def _expire(stamps: deque[float], until_s: float) -> None:
    while stamps and stamps[0] <= until_s:
        stamps.popleft()


@dataclass(slots=True)
class Penalty:
    """A phase in which an account may do less, or nothing."""

    until_s: float
    share: float


class Limits:
    """Every venue's limits, per API key and limit name."""

    def __init__(self, defaults: Mapping[str, Mapping[str, str]]) -> None:
        self._defaults = {
            (venue, name): Quota.parse(text)
            for venue, quotas in defaults.items()
            for name, text in quotas.items()
        }
        self._quotas = dict(self._defaults)
        self._all: dict[str, Quota] = {}
        self._key_quotas: dict[LimitKey, Quota] = {}
        self._windows: dict[LimitKey, Window] = {}
        self._penalties: dict[tuple[str, str], Penalty] = {}
        self.watched: set[tuple[str, str]] = set()
        self.count_refused = False

    def quota(self, venue: str, api_key: str, name: str) -> Quota:
        """Tell the quota that holds: the key's own, else the venue's, else none."""
        own = self._key_quotas.get((venue, api_key, name))
        return (
            own or self._all.get(venue) or self._quotas.get((venue, name)) or Quota.parse("off")
        )

    def draw(
        self, venue: str, api_key: str, names: tuple[str, ...], at_s: float, weight: int = 1
    ) -> str | None:
        """Take a place under every limit; return the name of the first that has none left.

        Under the limit "weight" a request takes as many as it weighs.

        A refused request uses up no place, unless `count_refused` is set (not documented by
        any venue; the sandbox's choice).
        """
        windows = [(name, self._window(venue, api_key, name)) for name in names]
        weights = {name: weight if name == "weight" else 1 for name in names}
        share = self.share(venue, api_key, at_s)
        for _, window in windows:
            window.arrive(at_s)
        refused = next(
            (
                n
                for n, w in windows
                if (venue, n) not in self.watched and w.is_full(at_s, share, weights[n])
            ),
            None,
        )
        if refused is not None:
            self._window(venue, api_key, refused).throttled += 1
        if refused is None or self.count_refused:
            for name, window in windows:
                _expire(window.counted, at_s - window.quota.seconds)
                window.count(at_s, weights[name])
        return refused

    def _window(self, venue: str, api_key: str, name: str) -> Window:
        window = self._windows.get((venue, api_key, name))
        if window is None:
            window = Window(self.quota(venue, api_key, name))
            self._windows[venue, api_key, name] = window
        return window

    def arrivals(self, venue: str, api_key: str, name: str, at_s: float) -> int:
        """Count the requests that are in the window at that time."""
        window = self._window(venue, api_key, name)
        _expire(window.arrived, at_s - window.quota.seconds)
        return len(window.arrived)

    def is_enforced(self, venue: str, api_key: str, name: str) -> bool:
        """Whether the limit is on for this key."""
        return self.quota(venue, api_key, name).enforced

    def penalize(self, venue: str, api_key: str, *, until_s: float, share: float) -> None:
        """Lower every limit of a key to `share` of it; 0 is a ban."""
        self._penalties[venue, api_key] = Penalty(until_s, share)

    def share(self, venue: str, api_key: str, at_s: float) -> float:
        """Tell how much of its limits a key has at the moment: 1, a half, or 0 when banned."""
        penalty = self._penalties.get((venue, api_key))
        if penalty is None or penalty.until_s <= at_s:
            return 1.0
        return penalty.share

    def configure(self, limits: dict[str, Any], key_limits: dict[str, Any]) -> None:
        """Take the settings' limits; what they do not name keeps the venue's default."""
        self._quotas, self._all, self._key_quotas = dict(self._defaults), {}, {}
        for venue, quotas in limits.items():
            if isinstance(quotas, str):
                self._all[venue] = Quota.parse(quotas)
            else:
                self._quotas |= {(venue, n): Quota.parse(q) for n, q in quotas.items()}
        for venue, keys in key_limits.items():
            for api_key, quotas in keys.items():
                for name, text in quotas.items():
                    self._key_quotas[venue, api_key, name] = Quota.parse(text)
        for (venue, api_key, name), window in self._windows.items():
            window.quota = self.quota(venue, api_key, name)

    def report(self, now_s: float) -> list[dict[str, Any]]:
        """List what every key did under every limit."""
        return [
            {
                "venue": venue,
                "api_key": api_key,
                "limit": name,
                "quota": str(window.quota),
                "requests": window.requests,
                "throttled": window.throttled,
                "max_in_window": window.max_in_window,
                "max_counted": window.max_counted,
                "share": self.share(venue, api_key, now_s),
            }
            for (venue, api_key, name), window in self._windows.items()
        ]

    def reset(self) -> None:
        """Forget every window and penalty; the quotas stay."""
        self._windows.clear()
        self._penalties.clear()
