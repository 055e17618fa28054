"""What a retry carries of its job in the task message. Its keys are a wire format.

Workers of this version and of the one before run side by side, so a key is neither renamed
nor dropped: `Track` is what they read and write, whatever `OrderProgress` looks like.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, Field, PlainSerializer, TypeAdapter

from venues.words import CancelStatus, OrderRef, OrdStatus, OrdType, Purpose
from worker.contract.job import Deadline
from worker.orders.progress import OrderProgress, Phase, Search


class Track(NamedTuple):
    """An order's reference and progress, as they are written."""

    ref: OrderRef
    symbol: str = ""
    ord_type: OrdType = OrdType.ANY
    type_known: bool = False
    purpose: Purpose = Purpose.CANCEL
    looking: bool = False
    attempts: int = 0
    tried: int = 0
    sent: bool = False
    sent_as: OrdType = OrdType.ANY
    settled_at: float = 0.0
    seen_open: bool = False
    still_open: bool = False
    early: bool = False
    absent: tuple[str, ...] = ()
    page: int = 1
    doubts: int = 0
    misses: int = 0
    ord_status: OrdStatus | None = None
    why: str = ""
    venue_code: str = ""
    text: str = ""

    @property
    def progress(self) -> OrderProgress:
        """What is known of the order."""
        return OrderProgress(
            kind=self.ref.kind,
            symbol=self.symbol,
            ord_type=self.ord_type,
            type_known=self.type_known,
            phase=self._phase,
            search=self._search,
            attempts=self.attempts,
            tried=self.tried,
            sent=self.sent,
            sent_as=self.sent_as,
            settled_at=self.settled_at,
            seen_open=self.seen_open,
            still_open=self.still_open,
            misses=self.misses,
            ord_status=self.ord_status,
            why=self.why,
            venue_code=self.venue_code,
            text=self.text,
        )

    @property
    def _phase(self) -> Phase:
        if self.purpose is Purpose.CANCEL:
            return Phase.CANCEL
        if self.looking:
            return Phase.PRECHECK
        return Phase.HASTY if self.early else Phase.CONFIRM

    @property
    def _search(self) -> Search:
        if self.purpose is Purpose.CANCEL:
            return Search()
        return Search(self.absent, self.page, self.doubts)


def track_of(ref: OrderRef, progress: OrderProgress) -> Track:
    """Return an order as it is written for the next worker.

    That one has another clock; by then no read lags behind what was done here.
    """
    phase, search = progress.phase, progress.search
    return Track(
        ref=ref,
        symbol=progress.symbol,
        ord_type=progress.ord_type,
        type_known=progress.type_known,
        purpose=Purpose.CANCEL if phase is Phase.CANCEL else Purpose.LOOKUP,
        looking=phase is Phase.PRECHECK,
        attempts=progress.attempts,
        tried=progress.tried,
        sent=progress.sent,
        sent_as=progress.sent_as,
        seen_open=progress.seen_open,
        still_open=progress.still_open,
        early=phase in (Phase.PRECHECK, Phase.HASTY),
        absent=search.absent_from,
        page=search.page,
        doubts=search.inconclusive,
        misses=progress.misses,
        ord_status=progress.ord_status,
        why=progress.why,
        venue_code=progress.venue_code,
        text=progress.text,
    )


def _by_names(track: Track) -> dict[str, Any]:
    return {**track._asdict(), "ref": track.ref._asdict()}


#: In a message its values have names: the next worker may be of another version.
NamedTrack = Annotated[Track, PlainSerializer(_by_names)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a job that goes back to the broker takes along."""

    accepted_at: Deadline
    deadline: Deadline
    attempt: Annotated[int, Field(ge=1)] = 1
    counts: dict[Annotated[str, AfterValidator(CancelStatus)], int] = field(
        default_factory=dict
    )
    tracks: tuple[NamedTrack, ...] = ()


_PROGRESS = TypeAdapter(Progress)


def read_progress(value: Any) -> Progress | None:
    """Return the progress in a task message; None if it carries none.

    Raises:
        ValidationError: it cannot be read.
    """
    return None if value is None else _PROGRESS.validate_python(value)


def write_progress(progress: Progress) -> Any:
    """Return the progress as a task message carries it."""
    return _PROGRESS.dump_python(progress, mode="json")
