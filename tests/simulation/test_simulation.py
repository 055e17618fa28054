"""The laws hold for many seeds, a seed replays itself, and each law notices what breaks it."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from kombu.transport.native_delayed_delivery import CELERY_DELAYED_DELIVERY_EXCHANGE

from tests.simulation import echo, laws
from tests.simulation.bound import check_bound, ratio_to_bound
from tests.simulation.crowd import draw_crowd
from tests.simulation.laws import LawBroken
from tests.simulation.scenario import APART, draw
from tests.simulation.seeds import run_seed
from tests.simulation.world import World
from tests.support.lane import id_of
from venues.base import Batch, HttpReply, Quota, Venue
from venues.words import CancelOutcome, CancelStatus
from worker.contract.job import SENT_BY_HEADER, InvalidJob
from worker.jobs.parse import _refused, _unreadable
from worker.jobs.poison import Past, past_of
from worker.jobs.resolve import Refusal
from worker.lane.holds import Load
from worker.lane.lane import Entry, Group, Lane, Pause, Sending
from worker.lane.submission import Result, Submission
from worker.orders.judge import Heard, hear
from worker.orders.progress import Cohort, cohorts
from worker.pacing.pace import NEVER, Pace
from worker.pacing.shared import SharedPace

#: Seeds of an ordinary run; `python -m tests.simulation --seeds 10000` runs more.
SEEDS = 800
SEEDS_A_TEST = 200
#: Seeds of many lanes at one address, each with some 300 requests.
CROWDS = 40
#: Seeds at each venue that counts more than requests.
SEEDS_APART = 200
#: Seeds that are played twice.
SEEDS_TO_COMPARE = 40
#: A spoiled part is noticed within so many seeds.
SEEDS_TO_NOTICE = 200


@pytest.mark.parametrize("first", range(0, SEEDS, SEEDS_A_TEST))
def test_the_laws_hold(first: int) -> None:
    for seed in range(first, first + SEEDS_A_TEST):
        run_seed(seed, odd=True)


@pytest.mark.parametrize("first", range(0, SEEDS_APART, SEEDS_A_TEST))
@pytest.mark.parametrize("venue", APART)
def test_the_laws_hold_where_requests_and_ids_have_a_price(venue: str, first: int) -> None:
    for seed in range(first, first + SEEDS_A_TEST):
        run_seed(seed, at=venue, odd=True)


def test_a_seed_replays_the_same_run() -> None:
    for seed in range(30):
        one, other = run_seed(seed, odd=True), run_seed(seed, odd=True)

        assert one.requests == other.requests
        assert one.truth.answers == other.truth.answers
        assert one.door.told.keys() == other.door.told.keys()


def test_what_producers_forge_changes_nothing_that_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither do elements that name no order: every other outcome is the same, and as soon."""
    monkeypatch.setattr(echo, "SHARE", 0.0)
    told = 0
    for seed in range(SEEDS_TO_COMPARE):
        plain, odd = (World(replace(draw(seed), odd=is_odd)).run() for is_odd in (False, True))
        if odd.truth.expired:  # by their producers' own will
            continue
        meant = {name: words_of(odd, name) for name in plain.door.told}
        told += len(meant)

        assert {name: words_of(plain, name) for name in meant} == meant
        assert odd.requests == plain.requests
    assert told > 10 * SEEDS_TO_COMPARE


def words_of(world: World, name: str) -> list[dict[str, Any]]:
    """Return the outcomes of an id as they were published, but for who sent the job."""
    return [{**word, "sent_by": ""} for word in world.door.told.get(name, ())]


class PaceFromSend(Pace):
    """Lets a token return one window after its request was sent."""

    def __init__(self, quota: Quota) -> None:
        super().__init__(quota)
        self._sent: deque[float] = deque()

    def take(self, now: float, **more: Any) -> None:
        super().take(now, **more)
        self._sent.append(now)

    def release(self, now: float, tokens: int = 1) -> None:
        super().release(self._sent.popleft(), tokens)


class SlowPace(Pace):
    """Keeps a request back for longer than it must."""

    def release(self, now: float, tokens: int = 1) -> None:
        super().release(now + 0.3, tokens)


class OnePricePace(Pace):
    """Takes one token of a request, whatever it costs."""

    def take(self, now: float, **more: Any) -> None:
        super().take(now, **more | {"tokens": 1})

    def release(self, now: float, tokens: int = 1) -> None:
        super().release(now)


class ForgetfulPace(Pace):
    """Takes a lane over as if nobody had sent before."""

    def assume_spent(self, now: float) -> None:
        return


class SmallRequests(Lane):
    """Sends one id at a time."""

    def _take(self, group: Group, now: float, most: int) -> list[Entry]:
        entries = super()._take(group, now, most)
        for entry in entries[1:]:
            self._queue([entry], now, now)
        return entries[:1]


class NoHurry(Lane):
    """Serves the oldest group first, kill or not."""

    def _by_priority(self, now: float) -> list[Group]:
        return list(reversed(super()._by_priority(now)))


class Sleepy(Lane):
    """Oversleeps."""

    def next(self, now: float) -> Sending | None:
        sending = super().next(now)
        self.quiet_until += 0.05
        return sending


class Patient(Load):
    """Would have every look-up of routine wait for ever."""

    def hold_look_up(self, since: float) -> float:
        return NEVER


class Hesitant(Lane):
    """Keeps look-ups back that could leave."""

    def __init__(
        self,
        venue: Venue,
        paces: Mapping[str, Pace],
        rng: Random,
        *,
        verify: bool = False,
        load: Load | None = None,
    ) -> None:
        super().__init__(venue, paces, rng, verify=verify, load=Patient())


class Greedy(Lane):
    """Looks up with tokens that cancels wait for."""

    def _tokens_at(self, group: Group, now: float) -> float:
        urgent = group.kills_here > 0
        return self._tokens.ready_at(group.route, now, urgent=urgent, ids=1)


class Restless(Lane):
    """Does not keep quiet when it is asked to."""

    def pause(
        self, now: float, asked_s: float | None, *, banned: bool = False, why: str = ""
    ) -> Pause:
        pause = super().pause(now, asked_s, banned=banned, why=why)
        self.standing.quiet_until = now + 0.1
        return pause


class Careless(Lane):
    """Loses every tenth answer."""

    def _hand(self, owner: Submission, result: Result) -> None:
        if not id_of(result).endswith("7"):
            super()._hand(owner, result)


class Liar(Lane):
    """Says canceled of everything that it has a final word on."""

    def _hand(self, owner: Submission, result: Result) -> None:
        if isinstance(result, CancelOutcome):
            result = CancelOutcome(
                id=result.id, status=CancelStatus.CANCELED, evidence=result.evidence
            )
        super()._hand(owner, result)


class Wasteful(Pace):
    """Leaves nothing of a long window to the cancels of kills to come."""

    def _kept_from(self, now: float, *, urgent: bool, lookup: bool = False) -> int:
        return super()._kept_from(now, urgent=urgent)


SPOILED: Sequence[tuple[str, type[Pace], type[Lane]]] = (
    ("limit", PaceFromSend, Lane),
    ("limit", ForgetfulPace, Lane),
    ("progress", SlowPace, Lane),
    ("filled", Pace, SmallRequests),
    ("kill first", Pace, NoHurry),
    ("progress", Pace, Sleepy),
    ("patience", Pace, Hesitant),
    ("cancels' tokens", Pace, Greedy),
    ("kill's share", Wasteful, Lane),
    ("quiet", Pace, Restless),
    ("once", Pace, Careless),
    ("truth", Pace, Liar),
)


def believing_past(headers: Mapping[str, Any], _: Mapping[str, Any]) -> Past:
    """Believe each count that a header states."""
    return past_of(headers, {"redelivered": True, "exchange": CELERY_DELAYED_DELIVERY_EXCHANGE})


def believing_sender(message: Any, _: str) -> str:
    """Believe the header of who moves messages."""
    return str(message.headers.get(SENT_BY_HEADER, message.properties.get("user_id", "")))


def strict(place: str, *_: Any) -> Refusal:
    """Have one bad element cost its job."""
    raise InvalidJob("bad_orders", place)


def nowhere(refusal: Refusal) -> CancelOutcome:
    """Say of no bad element where it stands."""
    return replace(_refused(refusal), text="")


def at_one_place(_: str, value: Any, symbol: str) -> Refusal:
    """Say of all bad elements that they stand at the same place."""
    return _unreadable("orders[0]", value, symbol)


def deaf(venue: Venue, batch: Batch, reply: HttpReply, _: Callable[[str], str]) -> Heard:
    """Hear what a venue says as it says it."""
    return hear(venue, batch, reply)


#: What is put in a part's place, and the law that notices it.
BROKEN_DOORS: Mapping[str, tuple[str, str, Any]] = {
    "counts of a header": ("reading", "worker.consumer.triage.past_of", believing_past),
    "a sender of a header": (
        "reading",
        "worker.consumer.task_message.sender_of",
        believing_sender,
    ),
    "copies": ("reading", "tests.simulation.door.triage_copy", lambda *_: None),
    "strict jobs": ("reading", "worker.jobs.parse._unreadable", strict),
    "no places": ("bad element", "worker.jobs.parse._refused", nowhere),
    "one place": ("once", "worker.jobs.parse._unreadable", at_one_place),
    "numbers as they are": ("reading", "worker.jobs.parse._is_rounded", lambda _: False),
    "echoes": ("secret", "tests.simulation.world.hear", deaf),
    "begun in any case": ("expired", "worker.consumer.triage.may_be_begun", lambda _: True),
}


@pytest.mark.parametrize("name", BROKEN_DOORS)
def test_a_law_notices_a_broken_door(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    law, place, part = BROKEN_DOORS[name]
    monkeypatch.setattr(place, part)

    assert law in laws_broken(Pace, Lane, law, range(SEEDS_TO_NOTICE), odd=True)


class Exact(Lane):
    """Takes each number for the very id."""

    def add(self, owner: Submission, ids: Iterable[Cohort], now: float) -> None:
        exact = [
            (ref, cohort.progress._replace(maybe_rounded=False))
            for cohort in ids
            for ref in cohort.refs()
        ]
        super().add(owner, cohorts(exact), now)


def test_a_law_notices_that_a_number_is_believed_to_be_exact() -> None:
    seeds = range(SEEDS_TO_NOTICE)
    assert "truth" in laws_broken(Pace, Exact, "truth", seeds, odd=True)


def laws_broken(
    pace_kind: type[Pace],
    lane_kind: type[Lane],
    wanted: str,
    seeds: Iterable[int],
    at: str = "",
    *,
    odd: bool = False,
) -> set[str]:
    """Return which laws break with these parts, until the one that is wanted does."""
    broken: set[str] = set()
    for seed in seeds:
        try:
            run_seed(seed, pace_kind, lane_kind, at, odd=odd)
        except LawBroken as error:
            broken.add(error.law)
        if wanted in broken:
            break
    return broken


@pytest.mark.parametrize(("law", "pace_kind", "lane_kind"), SPOILED)
def test_a_law_notices_what_breaks_it(
    law: str, pace_kind: type[Pace], lane_kind: type[Lane]
) -> None:
    assert law in laws_broken(pace_kind, lane_kind, law, range(SEEDS_TO_NOTICE))


@pytest.mark.parametrize(
    ("law", "pace_kind", "lane_kind"),
    [
        ("limit", OnePricePace, Lane),
        ("progress", SlowPace, Lane),
        ("filled", Pace, SmallRequests),
    ],
)
def test_a_law_notices_a_wrong_price(
    law: str, pace_kind: type[Pace], lane_kind: type[Lane]
) -> None:
    seeds = range(SEEDS_TO_NOTICE)
    assert law in laws_broken(pace_kind, lane_kind, law, seeds, "metered")


def hasty_lane(lag: str) -> type[Lane]:
    """Return a lane that takes its venue to be free of one lag."""

    class Hasty(Lane):
        def __init__(self, venue: Venue, *args: Any, **kwargs: Any) -> None:
            believed = copy.copy(venue)
            setattr(believed, lag, 0.0)
            super().__init__(believed, *args, **kwargs)

    return Hasty


#: Of the record's lag only one seed in thousands tells; the first of these does.
@pytest.mark.parametrize(
    ("lag", "first"),
    [("read_lag_s", 0), ("birth_lag_s", 0), ("record_lag_s", 4375), ("hidden_s", 0)],
)
def test_without_any_lag_of_the_table_something_untrue_is_told(lag: str, first: int) -> None:
    seeds = range(first, first + 5 * SEEDS_TO_NOTICE)
    assert "truth" in laws_broken(Pace, hasty_lane(lag), "truth", seeds)


def test_no_look_leaves_at_the_very_moment_of_a_deadline() -> None:
    run_seed(6519)  # two lanes of one address, and a kill whose deadline comes as one answers


@pytest.mark.parametrize("seed", [5661, 7337])
def test_a_lane_whose_kills_are_gone_begins_as_any(seed: int) -> None:
    run_seed(seed)


@pytest.mark.parametrize("seed", [2662, 2903, 4407])
def test_some_faults_in_a_row_do_not_hide_what_the_record_names(seed: int) -> None:
    run_seed(seed)


class Unfair(SharedPace):
    """Gives the tokens of an address to whoever comes first."""

    def ready_at(self, now: float, *, lane: object = None, **more: Any) -> float:
        return Pace.ready_at(self, now, **more)


def test_lanes_of_one_address_share_it() -> None:
    for seed in range(CROWDS):
        World(draw_crowd(seed)).run()


def test_the_law_of_lanes_that_begin_notices_that_nothing_is_left_to_them() -> None:
    with pytest.raises(LawBroken, match="begins"):
        for seed in range(CROWDS):
            World(draw_crowd(seed), Unfair).run()


def test_the_first_kill_of_a_lane_is_no_later_than_without_fairness(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Many kills of one lane may be: the last of them leave a token to others."""
    monkeypatch.setattr(laws, "BEGINS_WITHIN_S", NEVER)
    for seed in range(CROWDS // 2):
        scenario = draw_crowd(seed)
        fair, unfair = (first_kills(World(scenario, kind).run()) for kind in (Pace, Unfair))
        for account, found in fair.items():
            assert found <= unfair[account] + scenario.rtt_s[1]  # as no two runs are the same


def first_kills(world: World) -> dict[str, float]:
    """Return when the first kill of each account left."""
    firsts: dict[str, float] = {}
    for job in world.scenario.jobs:
        if job.kill:
            left = min(world.first_cancels[job.job_id, ref] for ref in job.refs)
            firsts[job.account] = min(left, firsts.get(job.account, NEVER))
    return firsts


def test_the_bound_notices_a_late_cancel() -> None:
    worlds = (run_seed(seed) for seed in range(SEEDS_TO_NOTICE))
    world = next(world for world in worlds if ratio_to_bound(world) > 0.5)
    for asked in world.first_cancels:
        world.first_cancels[asked] += 5.0

    with pytest.raises(LawBroken, match="bound"):
        check_bound(world)


def test_a_broken_law_names_what_replays_it() -> None:
    with pytest.raises(LawBroken) as broken:
        for seed in range(SEEDS_TO_NOTICE):
            run_seed(seed, lane_kind=Liar)

    (note,) = broken.value.__notes__
    assert note.startswith("replay: python -m tests.simulation --seed ")
