"""Asks the event loop for a call of its own, for which no news has to come first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: The event loop looks for news between this call and the next one.
_SOON_S = 0.001


def call_soon(hub: Any, do: Callable[[], None]) -> None:
    """Have kombu's event loop call something, and see to what that asks of it."""

    def do_and_wake() -> None:
        do()
        # Else what was asked of the event loop meanwhile would wait for news first.
        hub.call_later(_SOON_S, int)

    hub.call_later(_SOON_S, do_and_wake)
