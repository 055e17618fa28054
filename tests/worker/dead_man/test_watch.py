"""Who is silent for too long, and what does not count as silence."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum, auto

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.dead_man.watch import LONGEST_INTERVAL_S, Beat, Watch

DEAD_S = 30.0
INTERVAL_S = 10.0


def beat(now: float, offset: int = 0) -> Beat:
    return Beat(offset, now, f"at {now:g}")


def caught_up(now: float = 0.0, dead_man_s: float = DEAD_S) -> Watch:
    """A watch that has read what was in the stream by `now`."""
    watch = Watch(dead_man_s)
    watch.mark_sent(now)
    assert watch.mark_read(now) == []
    return watch


def proven(watch: Watch, now: float, took_s: float = 0.01) -> list[str]:
    """Send a mark and have it come back; return who is dead by it."""
    watch.mark_sent(now)
    return [one.producer for one in watch.mark_read(now + took_s)]


def run(watch: Watch, until: float, now: float = 0.0) -> list[tuple[float, str]]:
    """Send marks when they are due, each read at once; return who is found dead when."""
    found = []
    while (now := max(now, watch.next_mark_at())) <= until:
        found += [(now, name) for name in proven(watch, now)]
    return found


def test_silence_kills_once_at_its_time() -> None:
    watch = caught_up()
    watch.heard("a", beat(4.0))

    assert run(watch, 1000.0) == [(34.0, "a")]
    assert watch.producers == []


def test_who_never_began_is_not_missed() -> None:
    assert run(caught_up(), 10_000.0) == []


def test_each_producer_is_watched_by_itself() -> None:
    watch = caught_up()
    watch.heard("a", beat(1.0))
    watch.heard("b", beat(2.0))
    watch.heard("c", beat(20.0))

    assert run(watch, 40.0) == [(31.0, "a"), (32.0, "b")]
    assert watch.producers == ["c"]


def test_a_heartbeat_before_the_mark_comes_back_is_life() -> None:
    """It lay in the stream before the mark, however late it was read."""
    watch = caught_up()
    watch.heard("a", beat(0.0))
    watch.mark_sent(30.0)
    watch.heard("a", beat(30.2, 1))

    assert watch.mark_read(30.3) == []
    assert watch.producers == ["a"]


def test_who_comes_back_is_watched_again() -> None:
    watch = caught_up()
    assert watch.heard("a", beat(0.0))
    assert not watch.heard("a", beat(1.0, 1))
    assert run(watch, 40.0) == [(31.0, "a")]

    assert watch.heard("a", beat(50.0, 2))

    assert run(watch, 100.0, 50.0) == [(80.0, "a")]


def test_who_signs_off_is_not_missed() -> None:
    watch = caught_up()
    watch.heard("a", beat(0.0))

    assert watch.signed_off("a")
    assert not watch.signed_off("b")
    assert run(watch, 1000.0) == []


def test_what_lay_in_the_stream_counts_from_when_all_of_it_is_read() -> None:
    """Nobody read meanwhile; a producer that lives may have been cut off as well."""
    watch = Watch(DEAD_S)
    assert watch.next_mark_at() == -math.inf
    watch.mark_sent(100.0)
    watch.heard("a", beat(100.1))
    assert not watch.is_caught_up
    assert watch.mark_read(103.0) == []

    assert watch.is_caught_up
    assert run(watch, 200.0, 103.0) == [(133.0, "a")]


def test_a_mark_that_took_long_proves_nothing_and_silence_counts_anew() -> None:
    watch = caught_up()
    watch.heard("a", beat(0.0))

    assert proven(watch, 29.0, INTERVAL_S + 1) == []
    assert run(watch, 200.0, 40.0) == [(70.0, "a")]


def test_silence_counts_up_to_when_the_mark_left() -> None:
    """Of what came after it nothing is known yet."""
    watch = caught_up()
    watch.heard("a", beat(0.0))

    assert proven(watch, 29.0, took_s=2.0) == []
    assert proven(watch, 31.0) == ["a"]


def test_a_short_delay_of_the_broker_is_no_outage() -> None:
    watch = caught_up(dead_man_s=1.0)
    watch.heard("a", beat(0.0))

    assert proven(watch, 1.0, took_s=0.9) == ["a"]


def test_nothing_is_found_while_no_mark_comes_back() -> None:
    watch = caught_up()
    watch.heard("a", beat(0.0))
    watch.mark_sent(30.0)

    assert watch.next_mark_at() == math.inf
    assert watch.producers == ["a"]


def test_a_silence_that_has_killed_does_not_kill_for_the_next_owner() -> None:
    watch = Watch(DEAD_S)
    watch.mark_sent(0.0)
    watch.heard("a", beat(0.0, 7))
    watch.heard("b", beat(0.0, 8))
    watch.heard("b", beat(0.0, 10))  # it came back before the kill was noted
    watch.has_killed({"a": 7, "b": 8, "c": 1})
    watch.mark_read(0.1)

    assert watch.producers == ["b"]


def test_a_mark_that_nobody_sent_is_nothing() -> None:
    watch = caught_up()
    watch.heard("a", beat(0.0))

    assert watch.mark_read(1000.0) == []


@pytest.mark.parametrize("dead_man_s", [1.0, 30.0, 3600.0])
def test_marks_leave_often_enough_to_see_an_outage(dead_man_s: float) -> None:
    watch = caught_up(5.0, dead_man_s)

    assert watch.next_mark_at() == 5.0 + min(dead_man_s / 3, LONGEST_INTERVAL_S)


def test_silences_found_together_are_in_order() -> None:
    watch = caught_up()
    for name in "cab":
        watch.heard(name, beat(1.0))

    assert proven(watch, 31.0) == ["a", "b", "c"]


# -- played: producers, a broker and workers that come and go ------------------------------

#: A step of the play (seconds), how often a producer beats, and how long it takes to come back.
STEP_S, BEAT_S, BACK_S = 0.5, 8.0, 8.0


class State(Enum):
    """What is wrong for a while; silence counts from zero after each of these."""

    WELL = auto()
    BROKER_AWAY = auto()  # connections are lost, and the watch with them
    BROKER_TAKES_NOTHING = auto()  # an alarm: what is published waits, marks come first then
    WORKER_STANDS_STILL = auto()
    WORKER_DIES = auto()  # another one begins at once
    KILL_IS_NOT_NOTED = auto()  # it dies between the kill and its note


@dataclass
class Play:
    """One account: a producer that lives, and one that dies for good."""

    dies_at: float
    stream: list[tuple[str, str]] = field(default_factory=list)
    waits: list[tuple[str, str]] = field(default_factory=list)  # of workers, for the broker
    watch: Watch = field(default_factory=lambda: Watch(DEAD_S))
    read: int = 0
    marks: int = 0
    back_at: float = 0.0  # when producers are connected again
    beats_at: float = 0.0
    fired: list[tuple[str, int]] = field(default_factory=list)
    noted: bool = True
    lost: int = 0  # notes of a kill

    def begin(self) -> None:
        self.watch, self.read = Watch(DEAD_S), 0

    def step(self, now: float, state: State) -> None:
        away = state in (State.BROKER_AWAY, State.BROKER_TAKES_NOTHING)
        if away:
            self.back_at = now + BACK_S
        elif now >= max(self.beats_at, self.back_at):
            self.stream.append(("beat", "lives"))
            if now < self.dies_at:
                self.stream.append(("beat", "dies"))
            self.beats_at = now + BEAT_S
        if state in (State.BROKER_AWAY, State.WORKER_DIES):
            self.begin()
            self.waits.clear()
        self.noted = state is not State.KILL_IS_NOT_NOTED
        if state in (State.BROKER_AWAY, State.WORKER_STANDS_STILL):
            return
        self.take(now)
        if not away:
            self.stream += self.waits
            self.waits.clear()

    def take(self, now: float) -> None:
        while self.read < len(self.stream):
            offset, (kind, word) = self.read, self.stream[self.read]
            self.read += 1
            if kind == "beat":
                self.watch.heard(word, Beat(offset, now, ""))
            elif kind == "killed":
                self.watch.has_killed({"dies": int(word)})
            elif word == str(self.marks):
                for one in self.watch.mark_read(now):
                    self.fired.append((one.producer, one.beat.offset))
                    if self.noted:
                        self.waits.append(("killed", str(one.beat.offset)))
                    else:
                        self.lost += 1
                        self.begin()
        if now >= self.watch.next_mark_at():
            self.watch.mark_sent(now)
            self.marks += 1
            self.waits.append(("mark", str(self.marks)))


SPELLS = st.lists(
    st.tuples(st.sampled_from(State), st.floats(0.5, 90.0), st.floats(0.5, 90.0)), max_size=6
)


@settings(derandomize=True, deadline=None, database=None, max_examples=400)
@given(SPELLS, st.floats(0.0, 300.0))
def test_who_lives_is_never_killed_and_who_dies_is_in_time(
    spells: list[tuple[State, float, float]], dies_at: float
) -> None:
    """Whatever becomes of broker and worker. A kill whose note is lost may come once more."""
    play, now = Play(dies_at), 0.0
    for state, lasts_s, well_s in [*spells, (State.WELL, 0.0, 0.0)]:
        for spell, until in ((state, now + lasts_s), (State.WELL, now + lasts_s + well_s)):
            while now < until:
                play.step(now, spell)
                now += STEP_S
    last_change = max(now, dies_at)
    while now < last_change + DEAD_S + 2 * INTERVAL_S:
        play.step(now, State.WELL)
        now += STEP_S
    began = ("beat", "dies") in play.stream
    names = [name for name, _ in play.fired]

    assert "lives" not in names
    assert began <= names.count("dies") <= began + play.lost
    assert len(set(play.fired)) == began  # so all its kills have one name


def test_marks_leave_as_often_as_a_timer_needs_them_and_prove_as_much_as_before() -> None:
    watch = Watch(DEAD_S, most_apart_s=1.0)
    watch.mark_sent(0.0)
    watch.mark_read(0.1)
    assert watch.next_mark_at() == 1.0
    watch.heard("a", beat(1.0))

    assert proven(watch, 31.0, took_s=INTERVAL_S - 1) == ["a"]


def test_life_is_proven_by_who_was_heard_since_silence_counts() -> None:
    watch = Watch(DEAD_S)
    watch.mark_sent(100.0)
    watch.heard("a", beat(100.1))
    watch.mark_read(103.0)
    assert not watch.is_alive, "it may have died with the worker before"

    watch.heard("a", beat(104.0, 1))
    assert watch.is_alive
    assert proven(watch, 105.0, INTERVAL_S + 1) == []
    assert not watch.is_alive, "a broker that was away proves nothing"

    watch.heard("a", beat(117.0, 2))
    assert watch.is_alive
    assert proven(watch, 148.0) == ["a"]
    assert not watch.is_alive


def test_all_has_ended_once_the_last_one_signed_off() -> None:
    watch = caught_up()
    assert not watch.has_ended, "nobody had begun"
    watch.heard("a", beat(1.0))
    watch.heard("b", beat(1.0))
    watch.signed_off("a")
    assert not watch.has_ended
    watch.signed_off("b")
    assert watch.has_ended
    watch.heard("a", beat(2.0))
    assert not watch.has_ended

    assert proven(watch, 40.0) == ["a"]
    assert not watch.has_ended, "its silence has killed"
    watch.signed_off("a")
    assert not watch.has_ended, "and that goodbye came too late"


def test_a_silence_that_has_killed_is_no_end_for_the_next_owner_either() -> None:
    watch = Watch(DEAD_S)
    watch.heard("a", beat(0.0, 3))
    watch.signed_off("a")
    assert not watch.has_ended, "there may be more in the stream"
    watch.heard("b", beat(0.0, 5))
    watch.has_killed({"b": 5})
    watch.mark_sent(1.0)
    watch.mark_read(1.1)

    assert not watch.has_ended
