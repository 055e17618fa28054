"""What was read off the wire and not turned to yet: kills first, then each account in turn."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

Message = TypeVar("Message")


class _Turns(Generic[Message]):
    """Messages of many accounts, of which each has its turn."""

    def __init__(self) -> None:
        self._of: dict[str, deque[Message]] = {}  # in the order of their turns

    def __bool__(self) -> bool:
        return bool(self._of)

    def put(self, message: Message, account: str) -> None:
        self._of.setdefault(account, deque()).append(message)

    def take(self) -> Message:
        account, messages = next(iter(self._of.items()))
        del self._of[account]
        message = messages.popleft()
        if messages:
            self._of[account] = messages
        return message


class Inbox(Generic[Message]):
    """Messages by their accounts; those of one account and priority stay in their order."""

    def __init__(self) -> None:
        self._kills: _Turns[Message] = _Turns()
        self._routines: _Turns[Message] = _Turns()

    def __bool__(self) -> bool:
        """Say whether there is a message."""
        return bool(self._kills or self._routines)

    def put(self, message: Message, account: str, *, kill: bool) -> None:
        """Take a message in."""
        (self._kills if kill else self._routines).put(message, account)

    def take(self) -> Message:
        """Return the next message.

        Raises:
            StopIteration: there is none.
        """
        return (self._kills or self._routines).take()
