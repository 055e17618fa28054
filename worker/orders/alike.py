"""Shortcuts for orders of which the same is known: each step is thought out for one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Generic, NamedTuple, TypeVar

from venues.words import OrderRef
from worker.orders.follow import Again, Course, Track, start

#: Tracks that a lane compares new ones with; to forget one costs a little time, later.
MOST_REMEMBERED = 1024

Said = TypeVar("Said")


def all_but_id(track: Track) -> tuple[object, ...]:
    """Return what decides the next step: tracks that differ in their id only go one way."""
    return (track.ref[1:], track[1:])


def with_id(track: Track, ref: OrderRef) -> Track:
    """Return the track of another order of which the same is known."""
    return Track._make((ref, *track[1:]))


class Alike(NamedTuple):
    """Orders of which the same is known: the track of one of them, and the names of all."""

    track: Track
    refs: Sequence[OrderRef]

    def tracks(self) -> list[Track]:
        """Return the track of each."""
        return [with_id(self.track, ref) for ref in self.refs]


def start_all(
    refs: Iterable[OrderRef], *, look_first: bool = False, sent: bool = False
) -> list[Alike]:
    """Return orders that nothing is known of yet, each beside its like."""
    found: list[Alike] = []
    for _, same in groupby(refs, key=itemgetter(slice(1, None))):
        here = tuple(same)
        found.append(Alike(start(here[0], look_first=look_first, sent=sent), here))
    return found


def alike(tracks: Iterable[Track]) -> list[Alike]:
    """Return the orders of tracks, each beside its like."""
    found: list[Alike] = []
    for _, same in groupby(tracks, key=all_but_id):
        here = tuple(same)
        found.append(Alike(here[0], [track.ref for track in here]))
    return found


class Likes:
    """Makes tracks that differ in their id only one object, which is cheap to compare."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], Track] = {}

    def same(self, track: Track) -> Track:
        """Return the track of the first order that was like this one."""
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        return self._known.setdefault(all_but_id(track), track)


def changing(change: Callable[[Track], Track]) -> Callable[[Track], Track]:
    """Return a change of tracks that is made once for all that are one object."""
    changed: dict[int, tuple[Track, Track]] = {}  # by identity; the first keeps it valid

    def change_once(track: Track) -> Track:
        known = changed.get(id(track))
        if known is None:
            known = changed[id(track)] = track, change(track)
        return known[1]

    return change_once


class Follower(Generic[Said]):
    """Says what follows from one reply: of orders that are alike, and heard the same, once."""

    def __init__(self, step: Callable[[Track, Said], Course], likes: Likes) -> None:
        self._step = step
        self._likes = likes
        # By identity; the first two keep it valid.
        self._known: dict[tuple[int, int], tuple[Track, object, Again]] = {}

    def __call__(self, ref: OrderRef, like: Track, said: Said) -> Course:
        """Return what follows for an order with the track of its like.

        The track of what goes on is that of its like again; a final word is the order's own.
        """
        place = id(like), id(said)
        known = self._known.get(place)
        if known is not None:
            return known[2]
        course = self._step(with_id(like, ref), said)
        if isinstance(course, Again):
            course = course._replace(track=self._likes.same(course.track))
            self._known[place] = like, said, course
        return course
