"""Shortcuts for ids of which the same is known: one goes the way of its like. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from worker.follow import Again, Asked, Course, Track, follow, start
from worker.judge import Judgement
from worker.model import OrderRef


def all_but_id(track: Track) -> tuple[object, ...]:
    """Return what decides the next step: tracks that differ in their id only go one way."""
    return (track.ref[1:], track[1:])


def with_id(track: Track, ref: OrderRef) -> Track:
    """Return the track of another order of which the same is known."""
    return Track._make((ref, *track[1:]))


def start_all(
    refs: Iterable[OrderRef], *, look_first: bool = False, sent: bool = False
) -> list[Track]:
    """Return the tracks of many ids, most of which differ in nothing else."""
    like: dict[object, Track] = {}
    tracks: list[Track] = []
    for ref in refs:
        known = like.get(ref[1:])
        if known is None:
            known = like[ref[1:]] = start(ref, look_first=look_first, sent=sent)
        tracks.append(with_id(known, ref))
    return tracks


class Follower:
    """Follows the ids of one reply; one that comes right after its like follows it."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._like: tuple[object, ...] = ()
        self._said: Judgement | None = None
        self._again: Again | None = None

    def __call__(self, track: Track, said: Judgement) -> Course:
        """Return what follows from a judgement."""
        like = all_but_id(track)
        if self._again is not None and said is self._said and like == self._like:
            known = self._again
            return Again(with_id(known.track, track.ref), known.delay_s, known.back_off)
        course = follow(track, said, self._asked)
        self._like, self._said = like, said
        self._again = course if isinstance(course, Again) else None
        return course
