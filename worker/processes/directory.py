"""Builds the requests of an account whose venue names symbols by numbers of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from venues.base import Batch, HttpReply, HttpRequest, UnknownSymbol, Venue
from worker.http.transport import InDoubt, NotSent
from worker.pacing.pace import NEVER

#: A symbol that was not among the numbers may be a new one: they are read again, but not more
#: often (seconds), whatever jobs say.
READ_AGAIN_S = 60.0
_ODD_SHAPE = (KeyError, TypeError, ValueError, AttributeError, IndexError)


class Directory:
    """The numbers of a venue's symbols, read when one is missing (docs/decisions/0043).

    Any thread may call `build`; one of them reads, and the others wait for it.
    """

    def __init__(
        self,
        venue: Venue,
        send: Callable[[HttpRequest], HttpReply],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._venue = venue
        self._send = send
        self._clock = clock
        self._reading = threading.Lock()
        self._read_at = self._failed_at = -NEVER
        self._why = ""

    def build(self, batch: Batch) -> HttpRequest:
        """Return the unsigned request for a batch.

        Raises:
            UnknownSymbol: the venue knows no such symbol.
            NotSent: its numbers could not be read.
        """
        try:
            return self._venue.build(batch)
        except UnknownSymbol:
            self._read()
        return self._venue.build(batch)

    def _read(self) -> None:
        request, asked_at = self._venue.symbol_numbers, self._clock()
        with self._reading:
            if request is None or self._clock() < self._read_at + READ_AGAIN_S:
                return
            if self._failed_at >= asked_at:  # while this thread waited
                raise NotSent(self._why)
            try:
                self._venue = self._venue.knowing(self._send(request))
            except (NotSent, InDoubt, *_ODD_SHAPE) as error:
                of_network = isinstance(error, NotSent | InDoubt)
                self._why = str(error) if of_network else "unreadable_reply"
                self._failed_at = self._clock()
                raise NotSent(self._why) from None
            self._read_at = self._clock()
