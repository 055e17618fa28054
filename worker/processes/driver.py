"""Drives one lane: signs and sends its requests, and returns the results to the jobs."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future

import structlog

from venues.base import HttpReply, UnknownSymbol, Verdict
from worker.http.transport import InDoubt, NotSent, Transport
from worker.lane.entry import is_lookup
from worker.lane.holds import Load
from worker.lane.lane import Lane, Sending
from worker.lane.standing import Condition
from worker.lane.submission import STOPPING, Result, Results, Submission
from worker.lane.venue_timer import VenueTimer
from worker.orders.follow import blame_of, is_served
from worker.orders.judge import Judgement, hear, hear_list
from worker.orders.progress import Cohort
from worker.orders.quiet import quiet_asked_s
from worker.pacing.pace import NEVER, Pace
from worker.processes.call_log import CallLog
from worker.processes.directory import Directory
from worker.processes.protocol import AccountChanged
from worker.processes.venue_clock import VenueClock, stated_ms
from worker.settings import Account
from worker.stats import AccountCondition, LaneStats, VenueCall

#: The longest sleep of the timer thread (seconds); it is woken for anything sooner.
_LONGEST_SLEEP_S = 60.0

#: Takes the results of several submissions; called with the lane's lock held, so be quick.
Deliver = Callable[[list[Results]], None]


class Driver:
    """The threads of one lane. Any thread may call any public method."""

    def __init__(
        self,
        account: Account,
        transport: Transport,
        paces: dict[str, Pace],
        changed: threading.Condition,
        senders: Executor,
        deliver: Deliver,
        observe: Callable[[VenueCall], None],
        tell: Callable[[AccountChanged], None],
        load: Load,
    ) -> None:
        self.account = account
        self._deliver = deliver
        self._tell = tell
        self._load = load
        dice = random.Random()  # noqa: S311 - waits, not keys
        self.lane = Lane(
            account.venue,
            paces,
            dice,
            verify=account.verify,
            escalate=account.escalate,
            load=load,
            timer=_timer_of(account),
        )
        #: The last renewals of the venue's timer, which leave as the worker stops.
        self.handing_over: list[Future[None]] = []
        self._transport = transport
        # Lanes that draw from the quotas of one address share this lock.
        self._changed = changed
        self._shared = account.shares_address
        self._wakes_at = NEVER
        self._senders = senders
        self._timer = threading.Thread(
            target=self._tick, name=f"lane-{account.name}", daemon=True
        )
        self._stopped = False
        self._submissions: dict[int, Submission] = {}  # of those that the lane has ids of
        self._condition = Condition()
        self._clock = VenueClock()
        self._directory = Directory(
            account.venue, lambda request: transport.send(request, account.timeout_s)
        )
        self._log = structlog.get_logger().bind(venue=account.venue.name, account=account.name)
        self._calls = CallLog(account, self._log, observe)
        self._timer.start()

    # -- commands ------------------------------------------------------------------------

    def submit(self, jobs: Iterable[tuple[Submission, Iterable[Cohort]]]) -> None:
        """Take the ids of jobs in; their results are delivered."""
        with self._changed:
            for submission, ids in jobs:
                self._submissions[submission.number] = submission
                self.lane.add(submission, ids, time.monotonic())
                if submission.scope is not None:
                    self.lane.add_scope(submission, time.monotonic())
                if self._stopped:
                    self.lane.withdraw(submission, STOPPING, time.monotonic())
            self._pump()

    def withdraw(self, number: int, why: str) -> None:
        """Give a job its waiting ids back; those in flight follow when their reply is in."""
        with self._changed:
            submission = self._submissions.get(number)
            if submission is not None:
                self.lane.withdraw(submission, why, time.monotonic())
                self._pump()

    def release(self, why: str) -> None:
        """Give every job its waiting ids back: the lane is another worker's."""
        with self._changed:
            if self.lane.timer is not None:
                self.lane.timer.forget()
            self.lane.withdraw_all(why, time.monotonic())
            self._pump()

    def assume_spent(self) -> None:
        """Own the lane after another worker, which may have used its quotas just now."""
        with self._changed:
            self.lane.assume_spent(time.monotonic())
            self._changed.notify_all()

    def hold_routine(self, *, held: bool) -> None:
        """Let nothing routine leave that cancels, or let it again."""
        with self._changed:
            self.lane.hold_routine(time.monotonic(), held=held)
            self._pump()

    def stop(self) -> None:
        """Send nothing more; the results of ids in flight are still delivered."""
        with self._changed:
            if not self._stopped:
                last = self.lane.hand_over_timer(time.monotonic())
                self.handing_over = [self._senders.submit(self._carry, each) for each in last]
            self._stopped = True
            self.lane.withdraw_all(STOPPING, time.monotonic())
            self._pump()

    def set_timer(self, *, armed: bool) -> None:
        """Have the venue's own timer renewed, or disarmed, if that is due."""
        with self._changed:
            now, timer = time.monotonic(), self.lane.timer
            if timer is None:
                return
            if armed:
                timer.keep(now)
            else:
                timer.end(now)
            self._pump()
            for symbol in timer.late(now):
                self._tell_timer_failed(symbol, self.lane.standing.why(now) or "no_token", now)

    def stats(self) -> LaneStats:
        """Return how the lane stands."""
        with self._changed:
            now, lane = time.monotonic(), self.lane
            state = lane.standing.condition(now).state
            return LaneStats(lane.waiting(), lane.oldest_s(now), state)

    # -- the way of a request ------------------------------------------------------------

    def _pump(self, *, keep: bool = False) -> Sending | None:
        """Let all requests leave that may, and wake the timer if it would sleep too long.

        Call this and the methods below with the lock held. A thread that has just sent may
        `keep` the first request and send it itself: another thread would have to wake first.
        """
        kept = self._let_leave(keep=keep)
        self._tell_condition()
        if self.lane.quiet_until < self._wakes_at or self._stopped or self._shared:
            self._changed.notify_all()
        return kept

    def _let_leave(self, *, keep: bool = False, late_s: float = 0.0) -> Sending | None:
        kept: Sending | None = None
        while not self._stopped and (sending := self.lane.next(time.monotonic())) is not None:
            if not is_lookup(sending.batch.route):
                self._load.note_lateness(late_s, sending.started)
            if sending.is_escalation:
                batch = sending.batch
                self._log.error("escalated", route=batch.route.name, symbol=batch.symbol)
            if keep and kept is None:
                kept = sending
            else:
                self._senders.submit(self._carry, sending)
        self._hand_out()
        return kept

    def _tell_condition(self) -> None:
        """Tell Celery's process how the venue serves the account, if that has changed."""
        now = time.monotonic()
        found = self.lane.standing.condition(now)
        if found == self._condition:
            return
        self._condition = found
        ago = time.time() - now
        since, until = (
            None if when == -NEVER else ago + when for when in (found.since, found.until)
        )
        condition = AccountCondition(found.state, found.why, since, until)
        self._tell(AccountChanged(self.account.name, condition))

    def _hand_out(self) -> None:
        # Together, as each delivery may wake a thread of the other side.
        found: dict[Submission, list[Result]] = {}
        for submission, result in self.lane.take_results():
            found.setdefault(submission, []).append(result)
        ended = dict(self.lane.take_ended())
        for submission in ended:
            found.setdefault(submission, [])
        for submission in found:
            if not self.lane.asks(submission):
                self._submissions.pop(submission.number, None)
        if found:
            self._deliver(
                [
                    Results(s.number, results, s.sent, ended.get(s))
                    for s, results in found.items()
                ]
            )

    def _tick(self) -> None:
        with self._changed:
            while not self._stopped:
                # Otherwise a thread woke it that has let all requests leave that may.
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
            except Exception:  # noqa: BLE001 - no job may wait for ever, or get a false outcome
                self._log.exception("sender_failed", route=sending.batch.route.name)
                following = self._failed(sending, self.lane.in_doubt, "internal_error")

    def _send(self, sending: Sending) -> Sending | None:
        """Send a request and take its reply in; return the next request for this thread."""
        venue, account = self.account.venue, self.account
        try:
            built = self._directory.build(sending.batch)
            request = venue.sign(built, account.credential, self._clock.now_ms())
            reply = self._transport.send(request, account.timeout_s)
        except UnknownSymbol as error:
            return self._misnamed(sending, str(error))
        except NotSent as error:
            return self._failed(sending, self.lane.not_sent, str(error))
        except InDoubt as error:
            return self._failed(sending, self.lane.in_doubt, str(error))
        return self._answered(sending, reply)

    def _failed(
        self, sending: Sending, follow: Callable[[Sending, str, float], None], why: str
    ) -> Sending | None:
        self._calls.failed(sending, why)
        with self._changed:
            now = time.monotonic()
            follow(sending, why, now)
            if sending.sets_timer:
                self._tell_timer_failed(sending.batch.symbol, why, now)
            return self._pump(keep=True)

    def _misnamed(self, sending: Sending, text: str) -> Sending | None:
        """Refuse ids of a symbol that the venue does not have: nothing left for it."""
        said = Judgement(Verdict.REFUSED, reason="bad_symbol", text=text, by_status=True)
        self._calls.failed(sending, "bad_symbol")
        with self._changed:
            each, now = dict.fromkeys(sending.batch.refs, said), time.monotonic()
            self.lane.answered(sending, each, now, of_each=True)
            return self._pump(keep=True)

    def _answered(self, sending: Sending, reply: HttpReply) -> Sending | None:
        account = self.account
        if sending.sets_timer:
            return self._timer_answered(sending, reply)
        if sending.scope is not None or sending.cancels_all:
            return self._listed(sending, reply)
        said, others = hear(account.venue, sending.batch, reply, account.credential.scrub)
        heard = list({id(judgement): judgement for judgement in said.values()}.values())
        self._calls.answered(sending, reply.status, heard)
        with self._changed:
            shut = self.lane.standing.shut
            self._hear(sending, reply, heard)
            self.lane.answered(sending, said, reply.received_at, others)
            self._tell_resumed(sending, shut)
            return self._pump(keep=True)

    def _listed(self, sending: Sending, reply: HttpReply) -> Sending | None:
        """Take the reply to a read for a scope in."""
        account = self.account
        heard = hear_list(account.venue, sending.batch, reply, account.credential.scrub)
        self._calls.answered(sending, reply.status, [heard.said])
        with self._changed:
            shut = self.lane.standing.shut
            self._hear(sending, reply, [heard.said])
            self.lane.listed(sending, heard, reply.received_at)
            self._tell_resumed(sending, shut)
            return self._pump(keep=True)

    def _timer_answered(self, sending: Sending, reply: HttpReply) -> Sending | None:
        """Take the reply to a timer in.

        Of the account it teaches rates and the clock alone: a key that may set no timer may
        cancel all the same.
        """
        account, batch = self.account, sending.batch
        said = hear_list(account.venue, batch, reply, account.credential.scrub).said
        self._calls.answered(sending, reply.status, [said])
        with self._changed:
            if said.verdict in (Verdict.THROTTLED, Verdict.BANNED):
                self._pause(sending, reply, [said], banned=said.verdict is Verdict.BANNED)
            elif said.verdict in (Verdict.HALT, Verdict.CLOCK):
                self._correct_clock_by(sending, reply)
            done, now = said.verdict is Verdict.ACCEPTED, time.monotonic()
            is_new = self.lane.timer_answered(sending, reply.received_at, done=done)
            if is_new and batch.after_s:
                self._log.info("venue_timer_armed", symbol=batch.symbol, after_s=batch.after_s)
            elif is_new:
                self._log.info("venue_timer_disarmed", symbol=batch.symbol)
            if not done:
                why = said.reason or said.verdict
                self._tell_timer_failed(batch.symbol, why, now, said)
            return self._pump(keep=True)

    def _tell_timer_failed(
        self, symbol: str, why: str, now: float, said: Judgement | None = None
    ) -> None:
        """Say that the timer is not what it should be, and when it fires, if that is known."""
        left_s = self.lane.timer.left_s(symbol, now) if self.lane.timer else None
        self._log.error(
            "venue_timer_not_set",
            symbol=symbol,
            why=why,
            fires_in_s=None if left_s is None else round(left_s, 1),
            venue_code=said.venue_code if said else "",
            text=said.text if said else "",
        )

    def _tell_resumed(self, sending: Sending, shut: bool) -> None:
        if shut and not self.lane.standing.shut:
            self._log.warning("account_resumed", route=sending.batch.route.name)

    # -- what is said of the account -----------------------------------------------------

    def _hear(self, sending: Sending, reply: HttpReply, heard: Sequence[Judgement]) -> None:
        """Take in what a reply says of the account, before what it says of orders."""
        by_verdict = {judgement.verdict: judgement for judgement in reversed(heard)}
        if by_verdict.keys() & {Verdict.THROTTLED, Verdict.BANNED}:
            self._pause(sending, reply, heard, banned=Verdict.BANNED in by_verdict)
        elif barred := [judgement for judgement in heard if judgement.barred]:
            self._bar(sending, reply, barred[0])
        if by_verdict.keys() & {Verdict.HALT, Verdict.CLOCK}:
            self._refused(sending, reply, by_verdict)
        elif any(is_served(judgement) for judgement in heard):
            self._clock.accepted()

    def _pause(
        self, sending: Sending, reply: HttpReply, heard: Sequence[Judgement], *, banned: bool
    ) -> None:
        """Keep the account quiet, for as long as the venue asks and is believed."""
        now, venue = reply.received_at, self.account.venue
        asked_s = quiet_asked_s(venue.quiet, reply, [judgement.text for judgement in heard])
        pause = self.lane.pause(now, asked_s, banned=banned)
        self._log.warning(
            "venue_throttled",
            route=sending.batch.route.name,
            pause_s=round(pause.pause_s, 3),
            asked_s=None if asked_s is None else round(asked_s, 3),
            attempt=pause.attempt,
        )
        if banned:
            self._log.error("account_halted", reason="banned", halt_s=round(pause.pause_s, 3))
        # These jobs go back to the broker. Ids of other jobs wait here.
        for owner in sending.owners():
            self.lane.withdraw(owner, "banned" if banned else "throttled", now)

    def _bar(self, sending: Sending, reply: HttpReply, said: Judgement) -> None:
        """Keep the account quiet for a while, as something in the way refuses it."""
        reason = f"http_{reply.status}"
        pause = self.lane.pause(reply.received_at, None, why=reason)
        self._log.error(
            "account_barred",
            reason=reason,
            route=sending.batch.route.name,
            pause_s=round(pause.pause_s, 3),
            attempt=pause.attempt,
            venue_code=said.venue_code,
            text=said.text,
        )

    def _refused(
        self, sending: Sending, reply: HttpReply, by_verdict: Mapping[Verdict, Judgement]
    ) -> None:
        """Count a refusal of the key, unless a clock that can be corrected explains it."""
        # A nonce must not go back, and is no matter of clocks.
        venue_ms = None if self.account.venue.in_order_s else stated_ms(reply)
        clock = Verdict.CLOCK in by_verdict or self._clock.explains(sending.started, venue_ms)
        if not clock:
            self._count_refusal(sending, reply, by_verdict[Verdict.HALT])
        elif not self._clock.was_corrected_after(sending.started):
            self._correct_clock(sending, reply, venue_ms)

    def _correct_clock_by(self, sending: Sending, reply: HttpReply) -> None:
        """Correct the clock by a refusal that counts for nothing else, where it explains it."""
        venue_ms = None if self.account.venue.in_order_s else stated_ms(reply)
        if venue_ms is None or self._clock.was_corrected_after(sending.started):
            return
        if self._clock.explains(sending.started, venue_ms):
            offset_ms = self._clock.correct(venue_ms, time.monotonic())
            self._log.warning("clock_corrected", offset_ms=offset_ms)

    def _correct_clock(self, sending: Sending, reply: HttpReply, venue_ms: int | None) -> None:
        offset_ms = self._clock.correct(venue_ms, time.monotonic())
        if offset_ms is None:
            self._count_refusal(sending, reply, Judgement(Verdict.CLOCK))
        else:
            self._log.warning("clock_corrected", offset_ms=offset_ms)

    def _count_refusal(self, sending: Sending, reply: HttpReply, said: Judgement) -> None:
        reason, standing = blame_of(said), self.lane.standing
        if not self.lane.refused(sending, reason, reply.received_at):
            return
        self._log.error(
            "account_halted" if standing.halted else "account_refused",
            reason=reason,
            route=sending.batch.route.name,
            venue_code=said.venue_code,
            text=said.text,
        )


def _timer_of(account: Account) -> VenueTimer | None:
    timer = account.venue.timer if account.timer_s else None
    return VenueTimer(timer, account.timer_s, account.timer_symbols) if timer else None
