"""What a retry carries of its job in the task message. Its keys are a wire format.

Workers of this version and of the one before run side by side, so a key is neither renamed
nor dropped: `Track` is what they read and write, whatever `OrderProgress` looks like.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, Field, PlainSerializer, TypeAdapter

from venues.words import Became, CancelStatus, IdKind, OrderRef, OrdStatus, OrdType, Purpose
from worker.contract.job import Deadline
from worker.orders.follow import FinalWord
from worker.orders.progress import (
    OrderProgress,
    OtherForm,
    Over,
    Phase,
    Search,
    gone_back,
    gone_on,
)
from worker.orders.retry import Returned


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
            cancel_in_doubt=self.sent,  # what its reply said is not written
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

    That one has another clock; by then no read lags behind what was done here. An order that
    fired is written as it was asked for, as the version before knows no order but that.
    """
    progress = gone_back(progress)
    phase, search = progress.phase, progress.search
    return Track(
        ref=ref._replace(kind=progress.kind),
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
        page=1 if search.read.rows else search.page,  # its edge stays here
        doubts=search.inconclusive,
        misses=progress.misses,
        ord_status=progress.ord_status,
        why=progress.why,
        venue_code=progress.venue_code,
        text=progress.text,
    )


#: Of a reference, what has always been written.
_REF_KEYS = ("id", "kind", "symbol", "ord_type")


def _by_names(track: Track) -> dict[str, Any]:
    ref = {key: getattr(track.ref, key) for key in _REF_KEYS}
    return {**track._asdict(), "ref": ref}


#: In a message its values have names: the next worker may be of another version.
NamedTrack = Annotated[Track, PlainSerializer(_by_names)]


NamedOver = Annotated[Over, PlainSerializer(lambda over: over._asdict())]


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherTrack:
    """An id as one of another kind (`OtherForm`), and its word by the names of its fields."""

    track: NamedTrack
    word: dict[str, str] | None = None
    became: Became | None = None
    over: NamedOver | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a job that goes back to the broker takes along.

    The version before does not read `other_forms` and what comes after it, and goes on without.
    """

    accepted_at: Deadline
    deadline: Deadline
    attempt: Annotated[int, Field(ge=1)] = 1
    counts: dict[Annotated[str, AfterValidator(CancelStatus)], int] = field(
        default_factory=dict
    )
    tracks: tuple[NamedTrack, ...] = ()
    other_forms: dict[str, OtherTrack] = field(default_factory=dict)  # by id
    maybe_rounded: frozenset[str] = frozenset()
    first_sent_at: Deadline | None = None  # when cancels left
    last_sent_at: Deadline | None = None
    by_symbol: frozenset[str] = frozenset()  # what any of the orders has learned of the venue
    unknown_fields: tuple[str, ...] = ()  # of the job as its producer sent it
    became: dict[str, Became] = field(default_factory=dict)  # by id, of those that fired
    over: dict[str, NamedOver] = field(default_factory=dict)  # by id

    def orders(self) -> dict[str, tuple[OrderRef, OrderProgress]]:
        """Return the reference and progress of each order, by its id."""
        return {track.ref.id: (track.ref, self._progress_of(track)) for track in self.tracks}

    def _progress_of(self, track: Track) -> OrderProgress:
        rounded = track.ref.id in self.maybe_rounded
        other = self.other_forms.get(track.ref.id)
        known = track.progress._replace(
            maybe_rounded=rounded, by_symbol=self.by_symbol, over=self.over.get(track.ref.id)
        )
        known = _gone_on(known, self.became.get(track.ref.id))
        return known._replace(other_form=_form(other, known) if other else None)


def _form(other: OtherTrack, known: OrderProgress) -> OtherForm:
    progress = other.track.progress._replace(
        maybe_rounded=known.maybe_rounded, by_symbol=known.by_symbol, over=other.over
    )
    progress = _gone_on(progress, other.became)
    if other.word is None:
        return OtherForm(progress)
    word = _WORD.validate_python({**other.word, "progress": progress})
    return OtherForm(progress, tuple(word[1:]))


def _gone_on(known: OrderProgress, became: Became | None) -> OrderProgress:
    if became is None:
        return known
    return gone_on(known, became, may_be_reused=known.kind is IdKind.CLIENT)


def _became(progress: OrderProgress) -> Became | None:
    return progress.fired.became if progress.fired else None


def carried(left: Sequence[Returned]) -> dict[str, Any]:
    """Return what `Progress` holds of the orders that are left, by the names of its fields."""
    forms = {
        parked.ref.id: _written_form(parked.ref, parked.progress.other_form)
        for parked in left
        if parked.progress.other_form
    }
    rounded = frozenset(parked.ref.id for parked in left if parked.progress.maybe_rounded)
    by_symbol = frozenset[str]().union(*(parked.progress.by_symbol for parked in left))
    tracks = tuple(track_of(parked.ref, parked.progress) for parked in left)
    fired = [(parked.ref.id, _became(parked.progress)) for parked in left]
    return {
        "tracks": tracks,
        "other_forms": forms,
        "maybe_rounded": rounded,
        "by_symbol": by_symbol,
        "became": {order_id: became for order_id, became in fired if became},
        "over": {p.ref.id: p.progress.over for p in left if p.progress.over},
    }


def _written_form(ref: OrderRef, other: OtherForm) -> OtherTrack:
    names = FinalWord._fields[1:]
    word = dict(zip(names, map(str, other.word), strict=True)) if other.word else None
    became, over = _became(other.progress), other.progress.over
    return OtherTrack(track=track_of(ref, other.progress), word=word, became=became, over=over)


_WORD = TypeAdapter(FinalWord)
#: Keys that are written only where they say something.
_ADDED = frozenset(
    {
        "other_forms",
        "maybe_rounded",
        "first_sent_at",
        "last_sent_at",
        "by_symbol",
        "unknown_fields",
        "became",
        "over",
    }
)
_PROGRESS = TypeAdapter(Progress)


def read_progress(value: Any) -> Progress | None:
    """Return the progress in a task message; None if it carries none.

    Raises:
        ValidationError: it cannot be read.
    """
    return None if value is None else _PROGRESS.validate_python(value)


def write_progress(progress: Progress) -> Any:
    """Return the progress as a task message carries it."""
    written: dict[str, Any] = _PROGRESS.dump_python(progress, mode="json")
    return {key: value for key, value in written.items() if value or key not in _ADDED}
