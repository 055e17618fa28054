"""One run of chaos: jobs, orders, venue faults and deaths at random, all from one seed."""

from __future__ import annotations

import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.chaos.checker import Findings
from tests.chaos.draw import FIRST, behavior, birth_s, forged, with_bad_elements
from tests.support.rabbitmq import RabbitNode
from tests.support.worker import WorkerProcess
from tests.support.world import SYMBOLS, Desk, World, new_id, order_of
from venues.sandbox.client import SandboxClient
from venues.sandbox.engine import SPELLINGS

#: The venues, and how many accounts are at each.
VENUES = {
    **dict.fromkeys(FIRST, 3),
    **dict.fromkeys(("binance", "bybit", "okx", "kraken_spot"), 1),
}
WORKERS = 3
MOST_IDS_PER_JOB = 40
#: Kraken Spot's look-ups of ids that it does not know go one by one, in two seconds each.
FEWER_IDS = {"kraken_spot": 4}
#: The share of jobs that are of one id, as risk systems send them.
ONE_ID_JOBS = 0.4
#: Ids without an answer at once: a job that saw twenty of its workers die is given up.
MOST_WAITING = 500
#: Long enough that no deadline comes while workers lie dead.
DEADLINE = timedelta(hours=1)
#: How long the last ids may take once nothing dies any more, in seconds.
CALM_S = 900.0
#: Why the broker gives a job up; here none waits, or sees deaths, for so long.
GIVEN_UP = frozenset({"delivery_limit", "expired"})
#: The sandbox's own limits, so that a request too many is refused and counted.
FAST = "quotas = {account = '10/1s', cancel_batch = '10/1s', lookup = '10/1s'}"
#: A quota of a minute is taken as spent whenever an owner dies: of these the same in less time.
QUOTAS = {
    "ztdx": FAST,
    "kuna": FAST,
    "binance": "quotas = {address = '150/5s'}",
    "kraken_spot": "quotas = {lookup = '1/2s'}",
}
STATES = (
    *("open", "open", "open", "partially_filled", "filled", "canceled", "expired"),
    *("absent", "late"),
)
#: Venues that have no word for an order that expired, and call it canceled.
WITHOUT_EXPIRY = frozenset({"okx", "bybit"})
#: How long a message may live, in ms: longer than any waits here for a worker, or so short that
#: it expires unseen where its lane has no owner just then.
LONG_LIFE, SHORT_LIVES = "3600000", ("20", "300", "1500")
CANCEL_PATHS = {
    "coinw": "batchOrders",
    "ztdx": "batchOrders",
    "kuna": "cancel",
    "binance": "batchOrders",
    "bybit": "cancel-batch",
    "okx": "cancel-batch-orders",
    "kraken_spot": "CancelOrderBatch",
}
#: Faults of any request. Three refusals of the key in a row halt an account, which resumes.
FAULTS: dict[str, dict[str, Any]] = {
    "timeout_after_effect": {"hold_s": 3},
    "timeout_before_effect": {"hold_s": 3},
    "reset_after_effect": {},
    "reset_before_effect": {},
    "status": {"status": 503},
    "html": {"effect": True},
    "half_body": {},
    "slow": {"delay_s": 0.8},
    "wrong_json": {},
    "huge_body": {},
    "redirect": {},
    "echo_key": {},
    "read_lag": {"lag_s": 0.2},
    "throttle": {"retry_after_s": 1},
    "maintenance": {},
    "auth": {},
}
#: Statuses of pages that come in a venue's place: out of order, or in the way.
PAGES = (401, 403, 502)
#: Faults of a batch; a reply to a single cancel that names a state is evidence.
BATCH_FAULTS: dict[str, dict[str, Any]] = {
    "lying_success": {},
    "partial_success": {"every_other": True},
    "missing_ids": {},
}


@dataclass(slots=True, kw_only=True)
class Storm:
    """What is to happen, and the dice for when."""

    kills: int
    broker_kills: int
    ids: int
    seed: int
    node: RabbitNode
    sandbox: SandboxClient
    done: Counter[str] = field(default_factory=Counter)
    jobs: int = 0
    sent: int = 0
    began: float = field(default_factory=time.monotonic)
    _dice: random.Random = field(init=False)
    _world: World = field(init=False)
    _desks: list[Desk] = field(init=False)
    _behavior: dict[str, Any] = field(default_factory=dict)
    _forged: set[str] = field(default_factory=set)
    _may_expire: set[str] = field(default_factory=set)
    _alive: list[WorkerProcess] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)
        folder = Path(tempfile.mkdtemp(prefix="chaos-"))
        self._world = World(self.node.vhost("chaos"), self.sandbox, folder)
        # Owners die every few seconds here. Who takes over trusts that the ban threshold was
        # used evenly (worker/pacing/pace.py), which is not so after a burst of kills.
        self.sandbox.settings({"rtt_ms": 10, "jitter_ms": 10, "coinw.escalation": "off"})
        for venue in VENUES:
            self._behavior |= behavior(self._dice, venue)
        self.sandbox.settings(self._behavior)
        self._desks = [
            self._world.desk(f"{venue}-{number}", venue, *_lines(venue))
            for venue, desks in VENUES.items()
            for number in range(desks)
        ]
        self._world.audit()

    def blow(self) -> Findings:
        """Let everything happen, wait for the calm, and judge."""
        for number in range(WORKERS):
            self._alive.append(self._world.worker(f"w0-{number}").start(ready=""))
        try:
            for step in range(self.kills):
                self._send_share(step)
                self._order_faults()
                self._listen(self._dice.uniform(0.1, 1.5))
                self._kill_worker(step)
                if self._broker_is_due(step):
                    self._kill_broker()
                self._revive(step)
                self._tell(step)
            self.sandbox.clear_faults()
            self._world.hear_all(CALM_S)
        finally:
            self._world.close()
        findings = self._world.check()
        findings.leaked += self._leaks()
        findings.false += self._given_up()
        return findings

    def _given_up(self) -> list[str]:
        """Return what is wrong with outcomes of jobs that were given up.

        One that expired unseen, as its producer allowed, has failed, and no venue has heard of
        its orders. Others are not given up for what their producers wrote.
        """
        heard_of = {order.id for order in self.sandbox.book() if order.asked}
        wrong = []
        for told in self._world.told:
            body, named = told.body, f"{told.message_id} {told.status}"
            if body["reason"] not in GIVEN_UP or told.status in ("closed", "rejected"):
                continue  # such as an order that expired at the venue
            expired = body["job_id"] in self._may_expire and body["reason"] == "expired"
            self.done["ids that expired unseen"] += expired
            if expired and (told.status != "failed" or body["id"] in heard_of):
                wrong.append(f"{named}: expired unseen, and no cancel of it can have left")
            elif not expired and body["job_id"] in self._forged:
                wrong.append(f"{named}: given up for what its producer wrote")
        return wrong

    def _leaks(self) -> list[str]:
        """Return whose key or secret stands, as a venue may spell it, in outcomes or logs."""
        said = [str(value) for told in self._world.told for value in told.body.values()]
        for worker in self._world.workers:
            said += [str(value) for line in worker.lines() for value in line.values()]
            said.append(worker.errors())
        everything = "\n".join(said)
        return [
            f"{desk.name}, spelled {how}"
            for desk in self._desks
            for how, spell in SPELLINGS.items()
            if spell(desk.key) in everything or spell(desk.secret) in everything
        ]

    # -- what goes in --------------------------------------------------------------------

    def _send_share(self, step: int) -> None:
        """Send what is due before this death; first let the workers come after."""
        while self.sent < self.ids * (step + 1) / self.kills:
            self._world.hear(lambda: len(self._world.unanswered()) < MOST_WAITING, CALM_S)
            self._send_job()

    def _listen(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self._world.hear(lambda: time.monotonic() >= end, seconds + 60)

    def _send_job(self) -> None:
        desk = self._dice.choice(self._desks)
        many = FEWER_IDS.get(desk.venue, MOST_IDS_PER_JOB)
        most = 1 if self._dice.random() < ONE_ID_JOBS else many
        count = min(self._dice.randint(1, most), self.ids - self.sent)
        orders: list[Any] = list(self._orders(desk, count))
        if self._dice.random() < 0.2:
            orders = with_bad_elements(self._dice, orders)
            self.done["elements that name no order"] += len(orders) - count
        self.jobs += 1
        self.sent += count
        job_id = f"job-{self.jobs}"
        self._world.ask(desk, job_id, orders)
        job = {
            "job_id": job_id,
            "account": desk.name,
            "symbol": SYMBOLS[desk.venue],
            "orders": orders,
            "deadline": (datetime.now(UTC) + DEADLINE).isoformat(),
        }
        properties = self._odd_properties(job)
        key = f"{self._dice.choice(('routine', 'routine', 'kill'))}.{desk.name}"
        times = self._dice.choice((1, 1, 1, 1, 2))  # some come twice
        # Of two that may expire one may be done.
        for _ in range(1 if job_id in self._may_expire else times):
            self._world.publish(key, json.dumps(job).encode(), **properties)

    def _odd_properties(self, job: dict[str, Any]) -> dict[str, Any]:
        """Return AMQP properties that say what is not so, or what a worker must write anew."""
        properties: dict[str, Any] = {}
        if self._dice.random() < 0.3:
            lanes = [f"{p}.{d.name}" for d in self._desks for p in ("kill", "routine")]
            properties["application_headers"] = forged(self._dice, lanes)
            self._forged.add(job["job_id"])
            self.done["jobs with forged headers"] += 1
        if self._dice.random() < 0.2:
            life = self._dice.choice((LONG_LIFE, *SHORT_LIVES))
            properties["expiration"] = life
            if life in SHORT_LIVES:
                self._may_expire.add(job["job_id"])
                # RabbitMQ 3 would believe it, and drop what expires: no worker ever saw it.
                properties.get("application_headers", {}).pop("x-death", None)
        if self._dice.random() < 0.1:
            properties["message_id"] = job.pop("job_id")
        return properties

    def _orders(self, desk: Desk, count: int) -> list[str]:
        state = self._dice.choice(STATES)
        if state == "expired" and desk.venue in WITHOUT_EXPIRY:
            state = "canceled"
        if state not in ("absent", "late"):
            return self._world.seed(desk, count, state=state)
        ids = [new_id(desk.venue) for _ in range(count)]
        if state == "late":
            orders = [order_of(desk, order_id) for order_id in ids]
            sandbox = SandboxClient(self.sandbox.url)  # of the other thread alone
            timer = threading.Timer(birth_s(self._dice, desk.venue), sandbox.seed, [orders])
            timer.start()
            self.done["orders after their job"] += count
        return ids

    def _order_faults(self) -> None:
        desk = self._dice.choice(self._desks)
        of_batch = self._dice.random() < 0.3
        # What Binance answers to a batch is evidence, too.
        table = BATCH_FAULTS if of_batch and desk.venue != "binance" else FAULTS
        kind = self._dice.choice(sorted(table))
        where: dict[str, Any] = {"path_contains": CANCEL_PATHS[desk.venue]} if of_batch else {}
        if kind == "html":
            where["status"] = self._dice.choice(PAGES)
        if kind == "echo_key":
            where["spelled"] = self._dice.choice(sorted(SPELLINGS))
        times = self._dice.randint(1, 3)
        self.sandbox.fault(kind, api_key=desk.key, times=times, **where, **table[kind])

    # -- who dies ------------------------------------------------------------------------

    def _kill_worker(self, step: int) -> None:
        place = self._dice.randrange(WORKERS)
        if self._dice.random() < 0.1:
            code = self._alive[place].stop(30)
            # One that has not come to its signal handlers yet ends by the signal itself.
            self.done[
                "workers stopped" if code in (0, -15) else f"stops ended with {code}"
            ] += 1
        elif self._dice.random() < 0.25 and (parts := self._alive[place].lane_processes()):
            self._dice.choice(parts).kill()
            code = self._alive[place].wait(15)
            self.done[f"lane processes killed, workers ended with {code}"] += 1
        else:
            self._alive[place].kill()
            self.done["workers killed"] += 1
        self._alive[place] = self._world.worker(f"w{step + 1}-{place}").start(ready="")

    def _revive(self, step: int) -> None:
        """Do what a supervisor does: a worker that could not start is started again."""
        for place, worker in enumerate(self._alive):
            if worker.process is not None and worker.process.poll() is not None:
                self.done[f"starts ended with {worker.process.returncode}"] += 1
                again = self._world.worker(f"w{step + 1}-{place}-again")
                self._alive[place] = again.start(ready="")

    def _broker_is_due(self, step: int) -> bool:
        share = self.broker_kills / self.kills
        return int((step + 1) * share) > int(step * share)

    def _kill_broker(self) -> None:
        end = self._dice.choice((self.node.kill, self.node.kill, self.node.stop))
        end()
        self.done[f"broker {end.__name__}s"] += 1
        time.sleep(self._dice.uniform(0.0, 2.0))
        self.node.start()

    def _tell(self, step: int) -> None:
        waiting = len(self._world.unanswered())
        line = f"{step + 1} of {self.kills} deaths, {self.sent} ids sent, {waiting} wait"
        print(line, file=sys.stderr, flush=True)

    # -- what is told --------------------------------------------------------------------

    def over_limit(self) -> int:
        """Return how many requests the venues rate-limited, beside those told to."""
        return sum(use.throttled for use in self.sandbox.limits())

    def figures(self) -> list[str]:
        """Return what happened, one line each."""
        uses = self.sandbox.limits()
        fired = Counter(self._fired())
        return [
            f"seed {self.seed}, {self.jobs} jobs, {self.sent} ids, "
            f"{time.monotonic() - self.began:.0f} s",
            ", ".join(f"{what} {count}" for what, count in sorted(self.done.items())),
            f"venues: {json.dumps(self._behavior)}",
            f"venue faults fired: {sum(fired.values())} "
            f"({', '.join(f'{kind} {count}' for kind, count in sorted(fired.items()))})",
            f"venue requests {sum(use.requests for use in uses if use.limit == 'account')}, "
            f"over a limit {self.over_limit()}, "
            f"incidents {len(self.sandbox.incidents())}",
        ]

    def _fired(self) -> dict[str, int]:
        outcomes = Counter(one.outcome for one in self.sandbox.requests())
        return {
            word.removeprefix("fault:"): count
            for word, count in outcomes.items()
            if word.startswith("fault:")
        }


def _lines(venue: str) -> list[str]:
    # CoinW's keep the quota of its table, that of the address among them, which they share.
    return [QUOTAS[venue]] if venue in QUOTAS else []
