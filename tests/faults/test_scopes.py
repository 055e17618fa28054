"""Jobs that name no ids, with a real worker: what they cancel, what their reports prove."""

from __future__ import annotations

import json
from typing import Any

import amqp

from tests.support.producer import connect
from tests.support.world import Desk, World
from worker.contract.report import ReportMessage

REPORTS = "audit.reports"
#: The sandbox's own limits: the tables of these venues are more careful, and slower.
FAST = 'quotas = {account = "10/1s", cancel_batch = "2/1s", lookup = "10/1s"}'
#: From a job with a hold of so many seconds to its proof it takes twelve.
HOLD_S, PROVEN_S = 5, 60.0


def listen(world: World) -> None:
    with connect(world.url) as connection:
        channel = connection.channel()
        channel.exchange_declare("cancel.reports", "topic", durable=True, auto_delete=False)
        channel.queue_declare(REPORTS, durable=True, auto_delete=False)
        channel.queue_bind(REPORTS, "cancel.reports", "#")


def ask(world: World, desk: Desk, scope: Any, **fields: Any) -> str:
    """Send a kill of a scope; return its name."""
    job_id = f"scope-{desk.name}"
    job = {"job_id": job_id, "account": desk.name, "scope": scope, "hold_s": HOLD_S} | fields
    world.publish(f"kill.{desk.name}", json.dumps(job).encode())
    return job_id


def reports(world: World, count: int) -> dict[str, list[amqp.Message]]:
    """Wait until so many jobs have a report; return all reports by the job."""
    found: dict[str, list[amqp.Message]] = {}

    def come() -> bool:
        for message in world.queue(REPORTS):
            job_id = json.loads(message.body)["job_id"]
            known = found.setdefault(job_id, [])
            if message.body not in [one.body for one in known]:
                known.append(message)
        return len(found) == count

    world.hear(come, PROVEN_S)
    return found


def test_killed_in_the_middle_the_next_worker_proves_each_account_empty(world: World) -> None:
    """kill -9 while orders are canceled: the next owner lists anew, and reports once."""
    listen(world)
    coinw = world.desk("scoped-coinw")
    ztdx = world.desk("scoped-ztdx", "ztdx", FAST)
    kuna = world.desk("scoped-kuna", "kuna", FAST)
    narrowed = world.desk("scoped-narrowed")
    gone = {
        coinw: [
            *world.seed(coinw, 25),
            *world.seed(coinw, 3, ord_type="trailing_stop"),
            *world.seed(coinw, 2, ord_type="trigger"),
        ],
        ztdx: [*world.seed(ztdx, 40), *world.seed(ztdx, 2, ord_type="trigger")],
        kuna: world.seed(kuna, 45, side="sell"),
    }
    stays = {
        coinw: world.seed(coinw, 1, symbol="ETH"),
        ztdx: world.seed(ztdx, 2),
        kuna: world.seed(kuna, 2, side="buy"),
    }
    jobs = {
        coinw: ask(world, coinw, {"symbols": ["BTC"]}, hold_s=0),
        ztdx: ask(world, ztdx, {"except": stays[ztdx]}),
        kuna: ask(world, kuna, {"side": "sell"}, hold_s=0),
    }
    half = ask(world, narrowed, "all", hold_s=0)
    ids = world.send(narrowed, world.seed(narrowed, 2, ord_type="limit"), priority="kill")
    with world.worker("w1").start(ready="cancel_outcome"):
        pass
    world.worker("w2").start(ready="cancel_outcome")
    gone[ztdx] += world.seed(ztdx, 1)  # placed by another program, during the hold

    found = reports(world, len(jobs) + 2)

    for desk, job_id in jobs.items():
        (message,) = found[job_id]
        report = ReportMessage.model_validate_json(message.body)
        key = f"{desk.venue}.{desk.name}.empty"
        assert message.delivery_info["routing_key"] == key, report
        assert message.properties["message_id"] == report.message_id == f"report/{job_id}"
        assert all(world.order(desk, one).canceled_at_s for one in gone[desk])
        assert not any(world.order(desk, one).canceled_at_s for one in stays[desk])
        outcomes = world.outcomes(job_id)
        assert outcomes.keys() <= set(gone[desk])
        assert {one["found_by"] for one in outcomes.values()} <= {"scope"}
        assert world.await_lines("job_done", job_id=job_id, result="empty")
    assert gone[ztdx][-1] in world.outcomes(jobs[ztdx])
    _is_told_as_half(world, half, ReportMessage.model_validate_json(found[half][0].body))
    done = ReportMessage.model_validate_json(found[ids][0].body)
    assert (done.result, sum(done.counts.values())) == ("done", 2)


def _is_told_as_half(world: World, job_id: str, report: ReportMessage) -> None:
    """CoinW lists triggers of a stated symbol only: that is said at once, and never empty."""
    assert report.result == "unproven"
    assert [(left.ord_types, left.reason) for left in report.left_out] == [
        (["trigger"], "missing_symbol")
    ]
    assert world.lines("scope_narrowed", job_id=job_id, reason="missing_symbol")


def test_a_kill_of_all_reaches_trigger_orders_of_the_stated_symbols_and_proves_none(
    world: World,
) -> None:
    """An order of another symbol rests: nothing may say that the account is empty."""
    listen(world)
    desk = world.desk("stated-coinw", "coinw", 'symbols = ["ETH", "BTC"]')
    gone = [
        *world.seed(desk, 3),
        *world.seed(desk, 2, ord_type="trigger"),
        *world.seed(desk, 1, symbol="ETH", ord_type="trigger"),
    ]
    (rests,) = world.seed(desk, 1, symbol="XRP", ord_type="trigger")
    world.worker().start(ready="worker_ready")

    job_id = ask(world, desk, "all", hold_s=0)
    report = json.loads(reports(world, 1)[job_id][0].body)

    assert report["result"] == "unproven"
    assert sum(report["counts"].values()) == 6
    assert report["left_out"] == [{"ord_types": ["trigger"], "reason": "stated_symbols"}]
    assert {world.order(desk, each).state for each in gone} == {"canceled"}
    assert world.order(desk, rests).state == "open"
