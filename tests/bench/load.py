"""Cases of load: many accounts at once, and many ids in memory."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil

from tests.bench.bounds import even_s, requests_for
from tests.bench.figure import Figure, Findings, throttled
from tests.bench.producers import flood
from tests.bench.proofs import proofs, proven
from tests.bench.stage import (
    Stage,
    cancels,
    family,
    jobs,
    measured,
    time_to_cancel_s,
)
from tests.support.producer import Outcomes

_PATIENCE_S = 120.0
_WARM_IDS = 20
#: After it all tokens are back.
_REST_S = 3.0
#: The broker counts anew that often, in seconds.
_COUNTED_EACH_S = 6.0
#: Of the jobs so many have to be in the worker for their memory to say anything: while they
#: come the first ones end.
_MOST_HELD = 0.9


def many(stage: Stage, accounts: int, ids: int, plays: int) -> Findings:
    """So many accounts with so many ids each, at once, through one worker, so many times."""
    names = [f"many-{number}" for number in range(accounts)]
    with stage.worker(names), stage.outcomes() as outcomes:
        _play(stage, names, _WARM_IDS, _WARM_IDS, outcomes)  # all are new, and slow at first
        played = [_play(stage, names, ids, ids, outcomes) for _ in range(plays)]
        refused = stage.throttled(names)
    played.sort(key=lambda play: play.cancel_s)
    case = f"{accounts}x{ids}"
    middle = played[plays // 2]
    return Findings(
        [
            Figure(case=case, name="time to cancel, all accounts",
                   value=middle.cancel_s, unit="s", bound=even_s(ids), must=1.15,
                   note=f"bound: of one account; the middle one of {plays}"),
            Figure(case=case, name="time to cancel, the slowest time",
                   value=played[-1].cancel_s, unit="s", bound=even_s(ids)),
            throttled(case, refused),
            Figure(case=case, name="all answers final", value=middle.final_s, unit="s"),
        ]
    )  # fmt: skip


def many_merge(stage: Stage, accounts: int, ids: int) -> Findings:
    """The same ids of so many accounts twice: in one job of each, and in jobs of one id."""
    names = [f"many-{number}" for number in range(accounts)]
    with stage.worker(names) as worker, stage.outcomes() as outcomes:
        _play(stage, names, _WARM_IDS, _WARM_IDS, outcomes)
        whole = _play(stage, names, ids, ids, outcomes)
        split = _play(stage, names, ids, 1, outcomes)
        refused = stage.throttled(names)
        if split.missing:
            worker.kill()  # it would wait for them before it ends
    case, least = f"{accounts}x{ids} jobs of 1", accounts * requests_for(ids)
    return Findings(
        [
            Figure(case=case, name="time to cancel, all accounts", value=split.cancel_s,
                   unit="s", bound=whole.cancel_s, must=4.0,
                   note=f"bound: {accounts} jobs of {ids} just before, which took "
                   f"{whole.cancel_s / even_s(ids):.2f} of their own; the jobs of 1 were "
                   f"published within {split.published_s:.2f} s"),
            Figure(case=case, name="cancel requests", value=split.cancels, unit="requests",
                   bound=least, must=1.1 * least,
                   note=f"{split.requests} requests with look-ups"),
            throttled(case, refused),
            Figure(case=case, name="all answers final", value=split.final_s, unit="s",
                   note=f"{split.missing} ids had no answer by then"),
            *proofs(case, split.cancel_s, split.final_s, split.unproven),
        ]
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Played:
    """What one play brought; times since its first request, but for `published_s`."""

    cancel_s: float
    final_s: float
    published_s: float
    cancels: int
    requests: int
    unproven: int
    missing: int


def _play(
    stage: Stage, names: Sequence[str], ids: int, per_job: int, outcomes: Outcomes
) -> _Played:
    """Have so many ids of each account canceled, all at once."""
    shares = [jobs("routine", name, stage.orders(name, ids), per_job) for name in names]
    posts = [post for turn in zip(*shares, strict=True) for post in turn]
    time.sleep(_REST_S)
    stage.box.clear_requests()
    told, wanted = len(outcomes.found), len(names) * ids
    began = time.monotonic()
    flood(stage.url, posts)
    published_s = time.monotonic() - began
    with suppress(AssertionError):  # what is missing is told as a figure
        outcomes.wait(told + wanted, _PATIENCE_S)
    final_at = time.monotonic()
    requests = sorted(stage.box.requests(), key=lambda request: request.received_s)
    found = outcomes.found[told:]
    return _Played(
        cancel_s=time_to_cancel_s(requests),
        final_s=final_at - requests[0].received_s,
        published_s=published_s,
        cancels=len(cancels(requests)),
        requests=len(requests),
        unproven=wanted - proven(found),
        missing=wanted - len(found),
    )


def memory(stage: Stage, ids: int, per_job: int, most_kib: float | None = None) -> Findings:
    """So many ids, in jobs of so many, that all wait in the worker, as far as it takes them."""
    name, jobs_sent = f"heavy-{per_job}", ids // per_job
    posts = jobs("routine", name, stage.orders(name, ids), per_job)
    with stage.worker([name]) as worker:
        process = measured(worker)
        before = _memory_mib(process)
        flood(stage.url, posts)
        held = _await_held(stage, name, jobs_sent)
        after = _memory_mib(process)
        worker.kill()
    case = f"{ids} ids waiting" if per_job > 1 else f"{ids} jobs of 1 waiting"
    each_kib = (after - before) * 1024 / (held * per_job)
    return Findings(
        [
            Figure(case=case, name="jobs in the worker", value=held, unit="jobs",
                   bound=jobs_sent, least=_MOST_HELD * jobs_sent,
                   note="unacknowledged, as the broker counts; others wait there"),
            Figure(case=case, name="memory before", value=before, unit="MiB"),
            Figure(case=case, name="memory with them", value=after, unit="MiB"),
            Figure(case=case, name="memory for one id", value=each_kib, unit="KiB",
                   must=most_kib),
        ]
    )  # fmt: skip


def _await_held(stage: Stage, account: str, jobs_sent: int) -> int:
    """Return how many jobs the worker holds once it takes no more."""
    held, give_up = 0, time.monotonic() + _PATIENCE_S
    while time.monotonic() < give_up:
        time.sleep(_COUNTED_EACH_S)
        now = stage.unacknowledged(f"cancel.{account}.routine")
        if 0 < now <= held or now == jobs_sent:
            return now
        held = now
    raise RuntimeError("the worker takes jobs without an end, or none")


def _memory_mib(process: psutil.Process) -> float:
    """Return the memory of the worker's processes; what they share counts once."""
    return sum(float(member.memory_full_info().pss) for member in family(process)) / 2**20
