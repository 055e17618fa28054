"""Drives one lane: takes what may leave, signs it, sends it, and hands back what follows."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import structlog

from venues.base import HttpReply, Verdict
from worker.http.transport import InDoubt, NotSent, Transport
from worker.lane.lane import Lane, Sending, take_deliveries
from worker.lane.load import Load
from worker.lane.waiting import Result, is_lookup
from worker.orders.alike import Alike
from worker.orders.judge import Judgement, judge, retry_after_s
from worker.pacing.pace import NEVER, Pace
from worker.settings import Account
from worker.stats import Figures, Seen

#: A request may carry ids of many jobs; its log line names so many of them.
MOST_JOBS_NAMED = 20
#: A clock that is this wrong (ms) may be why a venue refuses a signature.
CLOCK_OFF_MS = 5000
#: How long the timer thread sleeps at most; it is woken for everything sooner.
_LONGEST_SLEEP_S = 60.0


@dataclass(slots=True, eq=False, weakref_slot=True)
class Ticket:
    """A running task at its lane: who it is, and by which number the other side knows it."""

    job_id: str
    kill: bool
    deadline: float  # monotonic seconds
    came_at: float = NEVER
    trace: str = ""
    leaving: str = ""
    number: int = 0


#: Takes what several tasks get back at once; called with the lane's lock held, so be quick.
Deliver = Callable[[Mapping[Ticket, Sequence[Result]]], None]


class Driver:
    """The threads of one lane. All public methods may be called from any thread."""

    def __init__(
        self,
        account: Account,
        transport: Transport,
        paces: dict[str, Pace],
        changed: threading.Condition,
        senders: Executor,
        deliver: Deliver,
        observe: Callable[[Seen], None],
        load: Load | None = None,
    ) -> None:
        self.account = account
        self._deliver = deliver
        self._load = load or Load()
        dice = random.Random()  # noqa: S311 - waits, not keys
        self.lane = Lane(account.venue, paces, dice, verify=account.verify, load=self._load)
        self._transport = transport
        self._observe = observe
        # Shared by the lanes that draw from one address's quotas, else the lane's own.
        self._changed = changed
        self._shared = any(pace.quota.scope == "address" for pace in paces.values())
        self._wakes_at = NEVER
        self._senders = senders
        self._timer = threading.Thread(
            target=self._tick, name=f"lane-{account.name}", daemon=True
        )
        self._stopped = False
        self._stamping = threading.Lock()
        self._last_ms = 0
        self._clock_offset_ms = 0
        self._clock_set_at = -NEVER
        self._clock_errors = 0
        self._log = structlog.get_logger().bind(venue=account.venue.name, account=account.name)
        self._timer.start()

    # -- what tasks do -------------------------------------------------------------------

    def submit(self, ticket: Ticket, ids: Iterable[Alike]) -> None:
        """Hand ids in; what becomes of each is delivered to the ticket."""
        with self._changed:
            self.lane.add_alike(ticket, ids, time.monotonic())
            if self._stopped:
                self.lane.withdraw(ticket, "stopping", time.monotonic())
            self._pump()

    def withdraw(self, ticket: Ticket, why: str) -> None:
        """Ask for a task's ids back; those in flight come when their answer is in."""
        with self._changed:
            self.lane.withdraw(ticket, why, time.monotonic())
            self._pump()

    def give_up(self, why: str) -> None:
        """Give every task its waiting ids back, as when this worker no longer owns the lane."""
        with self._changed:
            self.lane.withdraw_all(why, time.monotonic())
            self._pump()

    def take_over(self) -> None:
        """Own the lane from now on, after somebody else."""
        with self._changed:
            self.lane.start_spent(time.monotonic())
            self._changed.notify_all()

    def stop(self) -> None:
        """Send nothing more; ids in flight are still waited for by their tasks."""
        with self._changed:
            self._stopped = True
            self.lane.withdraw_all("stopping", time.monotonic())
            self._pump()

    def figures(self) -> Figures:
        """Return how the lane stands now."""
        with self._changed:
            now, lane = time.monotonic(), self.lane
            paused = now < lane.paused_until
            return Figures(lane.waiting(), lane.oldest_s(now), bool(lane.halted), paused)

    # -- the way of a request ------------------------------------------------------------

    def _pump(self, *, keep: bool = False) -> Sending | None:
        """Let leave what may, and see that the timer sleeps no longer than it should.

        With the lock held, as all that follows. A thread that has just sent may `keep` the
        first request: it sends that one itself, where another would have to wake first.
        """
        kept = self._let_leave(keep=keep)
        if self.lane.quiet_until < self._wakes_at or self._stopped or self._shared:
            self._changed.notify_all()
        return kept

    def _let_leave(self, *, keep: bool = False, late_s: float = 0.0) -> Sending | None:
        kept: Sending | None = None
        while not self._stopped and (sending := self.lane.next(time.monotonic())) is not None:
            if not is_lookup(sending.batch.route):
                self._load.cancel_left(late_s, sending.started)
            if keep and kept is None:
                kept = sending
            else:
                self._senders.submit(self._carry, sending)
        self._hand_out()
        return kept

    def _hand_out(self) -> None:
        # Together, as each delivery may wake a thread.
        shares: dict[Ticket, list[Result]] = {}
        for delivery in take_deliveries(self.lane):
            if isinstance(delivery.owner, Ticket):
                shares.setdefault(delivery.owner, []).append(delivery.result)
        if shares:
            self._deliver(shares)

    def _tick(self) -> None:
        with self._changed:
            while not self._stopped:
                # Else it was woken to sleep less long: who did it has let leave what may.
                late_s = time.monotonic() - self.lane.quiet_until
                if late_s >= 0 or self._shared:
                    self._let_leave(late_s=max(0.0, late_s))
                self._wakes_at = self.lane.quiet_until
                sleep_s = self._wakes_at - time.monotonic()
                if sleep_s > 0:
                    self._changed.wait(min(sleep_s, _LONGEST_SLEEP_S))

    def _carry(self, sending: Sending) -> None:
        following: Sending | None = sending
        while following is not None:
            sending = following
            try:
                following = self._send(sending)
            except Exception:  # noqa: BLE001 - nobody may wait for ever, or be told a lie
                self._log.exception("sender_failed", route=sending.batch.route.name)
                following = self._failed(sending, self.lane.in_doubt, "internal_error")

    def _send(self, sending: Sending) -> Sending | None:
        """Send a request and see to its answer; return the next one that this thread sends."""
        venue, account = self.account.venue, self.account
        request = venue.sign(venue.build(sending.batch), account.credential, self._now_ms())
        try:
            reply = self._transport.send(request, account.timeout_s)
        except NotSent as error:
            return self._failed(sending, self.lane.not_sent, str(error))
        except InDoubt as error:
            return self._failed(sending, self.lane.in_doubt, str(error))
        return self._answered(sending, reply)

    def _now_ms(self) -> int:
        """Return the venue's time, and never the same twice: some take it for a nonce."""
        with self._stamping:
            now_ms = int(time.time() * 1000) + self._clock_offset_ms
            self._last_ms = max(now_ms, self._last_ms + 1)
            return self._last_ms

    def _failed(
        self, sending: Sending, follow: Callable[[Sending, str, float], None], why: str
    ) -> Sending | None:
        self._note(sending, why=why)
        self._told(sending, why)
        with self._changed:
            follow(sending, why, time.monotonic())
            return self._pump(keep=True)

    def _answered(self, sending: Sending, reply: HttpReply) -> Sending | None:
        said = judge(self.account.venue, sending.batch, reply)
        heard = {id(judgement): judgement for judgement in said.values()}.values()
        verdicts = {judgement.verdict for judgement in heard}
        first = next(iter(said.values()))
        self._note(sending, http_status=reply.status, venue_code=first.venue_code)
        self._told(sending, _gist(verdicts))
        self._note_unmapped(sending, heard)
        with self._changed:
            if verdicts & {Verdict.THROTTLED, Verdict.BANNED}:
                self._pause(sending, reply, banned=Verdict.BANNED in verdicts)
            halt = Verdict.HALT in verdicts
            if Verdict.CLOCK in verdicts or (halt and self._is_off(sending, reply)):
                self._set_clock(sending, reply)
            elif halt:
                self._halt(next(j for j in said.values() if j.verdict is Verdict.HALT))
            else:
                self._clock_errors = 0
            self.lane.answered(sending, said, reply.received_at)
            return self._pump(keep=True)

    # -- what the account suffers --------------------------------------------------------

    def _pause(self, sending: Sending, reply: HttpReply, *, banned: bool) -> None:
        now = reply.received_at
        pause = self.lane.pause(now, retry_after_s(reply), banned=banned)
        route, pause_s = sending.batch.route.name, round(pause.pause_s, 3)
        self._log.warning(
            "venue_throttled", route=route, pause_s=pause_s, attempt=pause.attempt
        )
        if banned:
            self._log.error("account_halted", reason="banned", halt_s=pause_s)
        # These jobs wait at the broker; the ids of others wait here, as many as are prefetched.
        for owner in sending.owners():
            self.lane.withdraw(owner, "banned" if banned else "throttled", now)

    def _is_off(self, sending: Sending, reply: HttpReply) -> bool:
        """Say whether our clock, not the key, explains a refusal: not every venue says so."""
        if sending.started <= self._clock_set_at:
            return True
        venue_ms = _date_ms(reply)
        now_ms = int(time.time() * 1000) + self._clock_offset_ms
        return venue_ms is not None and abs(venue_ms - now_ms) > CLOCK_OFF_MS

    def _set_clock(self, sending: Sending, reply: HttpReply) -> None:
        """Believe the venue's clock once; if it still disagrees, nothing of ours can help."""
        if sending.started <= self._clock_set_at:
            return  # it was signed by the clock that has been corrected since
        self._clock_errors += 1
        venue_ms = _date_ms(reply)
        if venue_ms is None or self._clock_errors > 1:
            self._halt(Judgement(Verdict.HALT, reason="clock"))
            return
        self._clock_offset_ms = venue_ms - int(time.time() * 1000)
        self._clock_set_at = time.monotonic()
        self._last_ms = 0
        self._log.warning("clock_corrected", offset_ms=self._clock_offset_ms)

    def _halt(self, said: Judgement) -> None:
        if self.lane.halted:
            return
        reason = said.reason or "halted"
        self._log.error(
            "account_halted", reason=reason, venue_code=said.venue_code, text=said.text
        )
        self.lane.halt(reason)

    # -- what is told --------------------------------------------------------------------

    def _note(self, sending: Sending, **found: object) -> None:
        owners = [owner for owner in sending.owners() if isinstance(owner, Ticket)]
        attempt = max(item.like.attempts for item in sending.items)
        self._log.info(
            "venue_request",
            route=sending.batch.route.name,
            ids=len(sending.items),
            jobs=len(owners),
            job_ids=[owner.job_id for owner in owners[:MOST_JOBS_NAMED]],
            traceparents=[owner.trace for owner in owners[:MOST_JOBS_NAMED] if owner.trace],
            elapsed_ms=_ms(time.monotonic() - sending.started),
            waited_ms=_ms(sending.waited_s),
            attempt=attempt,
            **({"http_status": None, "venue_code": ""} | found),
        )

    def _told(self, sending: Sending, result: str) -> None:
        self._observe(
            Seen(
                venue=self.account.venue.name,
                account=self.account.name,
                route=sending.batch.route.name,
                ids=len(sending.items),
                result=result,
                waited_s=sending.waited_s,
                elapsed_s=time.monotonic() - sending.started,
            )
        )

    def _note_unmapped(self, sending: Sending, said: Iterable[Judgement]) -> None:
        unmapped = {(j.venue_code, j.text) for j in said if j.unmapped}
        for code, text in sorted(unmapped):
            route = sending.batch.route.name
            self._log.warning("unmapped_code", route=route, venue_code=code, text=text)


#: Verdicts that speak of the account; one of them tells what became of a whole request.
_OF_ACCOUNT = (Verdict.HALT, Verdict.BANNED, Verdict.THROTTLED, Verdict.CLOCK)


def _gist(verdicts: set[Verdict]) -> str:
    """Return one word for what a reply said about all its ids."""
    wide = [verdict for verdict in _OF_ACCOUNT if verdict in verdicts]
    return (wide or list(verdicts))[0] if wide or len(verdicts) == 1 else "mixed"


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


def _date_ms(reply: HttpReply) -> int | None:
    try:
        return int(parsedate_to_datetime(reply.headers.get("date", "")).timestamp() * 1000)
    except (TypeError, ValueError):
        return None
