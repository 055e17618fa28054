"""Cases of load: many accounts at once, no limit at all, and many ids in memory."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import psutil

from tests.bench.bounds import RTT_S, even_s
from tests.bench.figure import Figure, Findings, throttled
from tests.bench.producers import Post, flood
from tests.bench.stage import UNPACED, Stage, cpu_s, family, job, measured, time_to_cancel_s
from tests.support.producer import Outcomes

_PATIENCE_S = 120.0
_WARM_IDS = 20
#: After it all tokens are back.
_REST_S = 3.0
_PROFILE_RATE = 40
_PROFILED_IDS = 2000
_SHOWN = 40
#: What is on every stack and tells nothing.
_SCAFFOLD = (
    "(threading.py",
    "(click/",
    "(celery/bin/",
    "<frozen runpy>",
    "(celery/__main__.py",
)


def many(stage: Stage, accounts: int, ids: int, plays: int) -> Findings:
    """So many accounts with so many ids each, at once, through one worker, so many times."""
    names = [f"many-{number}" for number in range(accounts)]
    with stage.worker(names), stage.outcomes() as outcomes:
        _play(stage, names, _WARM_IDS, outcomes)  # all are new, and slow at first
        played = sorted(_play(stage, names, ids, outcomes) for _ in range(plays))
        refused = stage.throttled(names)
    case = f"{accounts}x{ids}"
    took_s, final_s = played[plays // 2]
    return Findings(
        [
            Figure(case=case, name="time to cancel, all accounts",
                   value=took_s, unit="s", bound=even_s(ids), must=1.15,
                   note=f"bound: of one account; the middle one of {plays}"),
            Figure(case=case, name="time to cancel, the slowest time",
                   value=played[-1][0], unit="s", bound=even_s(ids)),
            throttled(case, refused),
            Figure(case=case, name="all answers final", value=final_s, unit="s"),
        ]
    )  # fmt: skip


def _play(
    stage: Stage, names: Sequence[str], ids: int, outcomes: Outcomes
) -> tuple[float, float]:
    """Have all accounts canceled; return when all were, and when all was final (seconds)."""
    posts = [(f"routine.{name}", job(name, stage.orders(name, ids))) for name in names]
    time.sleep(_REST_S)
    stage.box.clear_requests()
    told = len(outcomes.found)
    flood(stage.url, posts)
    outcomes.wait(told + len(names) * ids, _PATIENCE_S)
    final_at = time.monotonic()
    requests = [request for name in names for request in stage.requests(name)]
    requests.sort(key=lambda request: request.received_s)
    return time_to_cancel_s(requests), final_at - requests[0].received_s


def unlimited(stage: Stage, ids: int, per_job: int) -> Findings:
    """A venue without limits and with a short way to it: what the worker itself can do."""
    name = f"free-{per_job}"
    orders = stage.orders(name, ids)
    posts = _posts(name, orders, per_job)
    stage.box.settings({"limits": {"coinw": "off"}, "rtt_ms": 5})
    with stage.worker([name], UNPACED) as worker, stage.outcomes(name) as outcomes:
        process = measured(worker)
        began, used_s = time.monotonic(), cpu_s(process)
        flood(stage.url, posts)
        outcomes.wait(ids, _PATIENCE_S)
        took_s = time.monotonic() - began
        used_s = cpu_s(process) - used_s
        share = len(stage.requests(name)) / ids
        profile = _profiled(stage, name, process.pid, outcomes, per_job)
    stage.box.settings({"limits": {}, "rtt_ms": RTT_S * 1000})
    case = f"no limit, jobs of {per_job}"
    return Findings(
        [
            Figure(
                case=case,
                name="ids to their final status",
                value=ids / took_s,
                unit="ids/s",
                note=f"{share:.2f} venue requests an id",
            ),
            Figure(
                case=case,
                name="processor time of the worker",
                value=used_s / ids * 1000,
                unit="ms/id",
                note=f"{used_s / took_s:.0%} of one core while it ran",
            ),
        ],
        profile=[case, *profile],
    )


def _profiled(stage: Stage, name: str, pid: int, outcomes: Outcomes, per_job: int) -> list[str]:
    """Do the same once more, shorter, and look where the time goes."""
    out = stage.folder / f"{name}.profile"
    sampler = _sampler(pid, out)
    time.sleep(1.0)
    orders = stage.orders(name, _PROFILED_IDS)
    known = len(outcomes.found)
    flood(stage.url, _posts(name, orders, per_job))
    outcomes.wait(known + len(orders), _PATIENCE_S)
    _end(sampler)
    return _read_profile(out)


def _posts(name: str, orders: Sequence[str], per_job: int) -> list[Post]:
    starts = range(0, len(orders), per_job)
    return [(f"kill.{name}", job(name, orders[at : at + per_job])) for at in starts]


def memory(stage: Stage, ids: int) -> Findings:
    """Ten jobs whose ids all wait in the worker."""
    name = "heavy"
    orders = stage.orders(name, ids)
    size = ids // 10
    with stage.worker([name]) as worker:
        process = measured(worker)
        before = _memory_mib(process)
        flood(
            stage.url,
            [
                (f"routine.{name}", job(name, orders[at : at + size]))
                for at in range(0, ids, size)
            ],
        )
        time.sleep(6.0)
        after = _memory_mib(process)
        worker.kill()
    case = f"{ids} ids waiting"
    return Findings(
        [
            Figure(case=case, name="memory before", value=before, unit="MiB"),
            Figure(case=case, name="memory with them", value=after, unit="MiB"),
            Figure(case=case, name="memory for one id", value=(after - before) * 1024 / ids,
                   unit="KiB"),
        ]
    )  # fmt: skip


def _memory_mib(process: psutil.Process) -> float:
    """Return the memory of the worker's processes; what they share counts once."""
    return sum(float(member.memory_full_info().pss) for member in family(process)) / 2**20


def _sampler(pid: int, out: Path) -> subprocess.Popen[bytes] | None:
    """Start py-spy, where it is installed: it samples whoever holds the interpreter."""
    command = [str(Path(sys.executable).with_name("py-spy")), "record", "--pid", str(pid)]
    options = [
        "--nonblocking",
        "--subprocesses",
        "--gil",
        "--format",
        "raw",
        "--rate",
        str(_PROFILE_RATE),
        "--output",
        str(out),
    ]
    try:
        return subprocess.Popen(
            [*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    except FileNotFoundError:
        return None


def _end(sampler: subprocess.Popen[bytes] | None) -> None:
    if sampler is not None:
        sampler.send_signal(2)
        sampler.wait(20)


def _read_profile(path: Path) -> list[str]:
    """Return where the time went: share of samples with the function anywhere on the stack."""
    if not path.exists():
        return ["no profile: py-spy is not installed, or may not look"]
    whole: Counter[str] = Counter()
    total = 0
    for line in path.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        total += int(count)
        for frame in set(_frames(stack)):
            whole[frame] += int(count)
    return [f"{count / total:5.0%}  {frame}" for frame, count in whole.most_common(_SHOWN)]


def _frames(stack: str) -> Sequence[str]:
    """Return the functions of a stack from ours on, without their lines."""
    frames = [frame.rpartition(":")[0] for frame in stack.split(";")]
    return [frame for frame in frames if not any(word in frame for word in _SCAFFOLD)]
