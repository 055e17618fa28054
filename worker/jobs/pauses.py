"""Which accounts somebody paused: nothing routine leaves for them. Kills do.

The last word on an account counts. A stream keeps the words and drops the oldest of them one
day, so a worker publishes a `pause` that has grown old once more, as it was. Such a copy counts
only for the word that it repeats: an account that was resumed meanwhile stays so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from worker.amqp.pause_stream import StreamMessage
from worker.amqp.publisher import Publication
from worker.amqp.topology import PAUSES, PAUSES_BYTES, PAUSES_SEGMENT_BYTES
from worker.contract.job import SENT_BY_HEADER
from worker.contract.pause import read_pause

#: A `pause` that so many bytes came after is published once more, by the owner of its lane. The
#: stream keeps three times as many, and as many take a copy for each of a thousand accounts.
RENEWED_AFTER = (PAUSES_BYTES - PAUSES_SEGMENT_BYTES) // 3
#: Header of such a copy. It counts only of the worker's own user, where the broker tells one.
RENEWED_HEADER = "x-cancel-renewed"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountPause:
    """The last word on an account: by whom, when and why it was paused, or resumed."""

    account: str
    paused: bool
    at: str
    requested_by: str
    sent_by: str  # the user who sent it, as the broker checked it
    reason: str
    word: StreamMessage  # as it came


#: The last word on each account of which there is one.
Words = Mapping[str, AccountPause]


def word_of(message: StreamMessage, own_user: str) -> AccountPause:
    """Return the word that a message of the stream is; `own_user`: as whom workers publish.

    Raises:
        ValueError: it is none.
    """
    said, user = read_pause(message.body), message.user_id
    if _is_copy(message, own_user):
        user = str(message.headers.get(SENT_BY_HEADER) or "")
    return AccountPause(
        account=said.account,
        paused=said.action == "pause",
        at=said.at,
        requested_by=said.requested_by,
        sent_by=user,
        reason=said.reason,
        word=message,
    )


def with_word(words: Words, new: AccountPause, own_user: str) -> Words:
    """Return the last words after one more."""
    before = words.get(new.account)
    if before is not None and _is_copy(new.word, own_user):
        if _name(before.word) != _name(new.word):
            return words
        new = replace(before, word=new.word)
    return {**words, new.account: new}


def to_renew(words: Words, newest: int) -> list[AccountPause]:
    """Return the pauses that have grown old, now that the stream has come to `newest`."""
    return [
        last
        for last in words.values()
        if last.paused and newest - last.word.end >= RENEWED_AFTER
    ]


def copy_of(last: AccountPause, own_user: str) -> Publication:
    """Return what publishes a word once more."""
    properties = {"content_type": "application/json", "message_id": _name(last.word)}
    return Publication(
        PAUSES,
        "",
        last.word.body,
        properties | ({"user_id": own_user} if own_user else {}),
        {RENEWED_HEADER: True, SENT_BY_HEADER: last.sent_by},
    )


def _is_copy(message: StreamMessage, own_user: str) -> bool:
    return bool(message.headers.get(RENEWED_HEADER)) and message.user_id == own_user


def _name(message: StreamMessage) -> str:
    return message.message_id or hashlib.sha256(message.body).hexdigest()


class Pauses:
    """The last word on each account, as far as this worker knows.

    As long as it knows nothing, each account counts as paused. `tell` is given those that are
    now, each time that changes; `publish` renews the word on an account that it `owns`.
    """

    def __init__(
        self,
        accounts: Collection[str],
        tell: Callable[[frozenset[str]], object],
        publish: Callable[[Publication], object],
        owns: Callable[[str], bool],
        own_user: str,
    ) -> None:
        self._accounts = frozenset(accounts)
        self._tell = tell
        self._publish = publish
        self._owns = owns
        self._own_user = own_user
        self._words: Words = {}
        self._known = False
        self._told: frozenset[str] | None = None
        self._renewed: set[int] = set()
        self._log = structlog.get_logger()

    def doubt(self) -> None:
        """Hold everything routine until the words are known anew: they may have changed."""
        self._known = False
        self._say()

    def take(self, messages: Sequence[StreamMessage], anew: bool) -> None:
        """Take words in, in their order; `anew`: there are no others."""
        before, words = self._words, {} if anew else self._words
        for message in messages:
            if not message.body:
                continue
            try:
                words = with_word(words, word_of(message, self._own_user), self._own_user)
            except ValueError as error:
                self._log.warning("pause_not_read", detail=str(error)[:200])
        if anew:
            self._renewed.clear()
        self._words, self._known = words, True
        self._log_changes(before, words)
        self._say()
        self._renew(messages[-1].end)

    def paused(self, account: str) -> bool:
        """Say whether nothing routine may leave for an account."""
        return not self._known or self.of(account) is not None

    def of(self, account: str) -> AccountPause | None:
        """Return who paused an account, when and why; None if nobody did."""
        last = self._words.get(account)
        return last if last is not None and last.paused else None

    def _say(self) -> None:
        paused = frozenset(name for name in self._accounts if self.paused(name))
        if paused != self._told:
            self._told = paused
            self._tell(paused)

    def _log_changes(self, before: Words, after: Words) -> None:
        for name in sorted(self._accounts):
            was, now = before.get(name), after.get(name)
            if (was is not None and was.paused) == (now is not None and now.paused):
                continue
            if now is None:
                self._log.warning("routine_resumed", account=name, reason="no word is kept")
                continue
            self._log.warning(
                "routine_paused" if now.paused else "routine_resumed",
                account=name,
                reason=now.reason,
                requested_by=now.requested_by,
                sent_by=now.sent_by,
                at=now.at,
            )

    def _renew(self, newest: int) -> None:
        for last in to_renew(self._words, newest):
            if last.word.end not in self._renewed and self._owns(last.account):
                self._renewed.add(last.word.end)
                self._publish(copy_of(last, self._own_user))
