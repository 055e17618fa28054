"""What a running worker holds: its settings, its lanes, its way out. Made once, at start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from weakref import WeakValueDictionary

from kombu import Connection

from venues.words import CancelJob
from worker.amqp.forwarder import Forwarder
from worker.amqp.outcome_stream import OutcomeStream
from worker.amqp.pause_stream import PauseStream
from worker.amqp.publisher import Publisher
from worker.amqp.topology import is_embedded, user_of
from worker.contract.outcome import message_id
from worker.dead_man.reader import HeartbeatReader
from worker.jobs.pauses import Pauses
from worker.jobs.poison import LONGEST_HOLD_S
from worker.jobs.submit import Bundle
from worker.processes.client import LaneClient
from worker.settings import Settings
from worker.stats import NO_OBSERVER, AccountCondition, LaneStats, Observer

#: Why ids leave a lane that is another worker's now.
DISOWNED = "disowned"


#: An event loop that has not turned for so long is stuck; a burst of messages takes seconds.
STUCK_S = 30.0


#: In place of who paused an account, where that could not be read.
_UNREAD = {"at": "", "requested_by": "", "sent_by": "", "reason": "pauses_unread"}


class Pulse:
    """Whether the worker consumes, and its event loop turns meanwhile."""

    def __init__(self) -> None:
        self._turned_at: float | None = None

    def turn(self, now: float) -> None:
        """Note that the loop, which consumes, has turned; `inf` where there is no loop."""
        self._turned_at = now

    def end(self) -> None:
        """Note that the worker consumes no more, as it stops or has no connection."""
        self._turned_at = None

    def is_healthy(self, now: float) -> bool:
        """Say whether nothing is stuck. A worker without a broker waits for it and is well."""
        return self._turned_at is None or now - self._turned_at < STUCK_S

    def is_ready(self, now: float) -> bool:
        """Say whether jobs are taken."""
        return self._turned_at is not None and self.is_healthy(now)


class Runtime:
    """The way in to all lanes and the way out of the worker."""

    def __init__(
        self,
        settings: Settings,
        connect: Callable[[], Connection],
        lanes: Mapping[str, LaneClient],
        observer: Observer = NO_OBSERVER,
    ) -> None:
        self.settings = settings
        self.embedded = is_embedded(settings.broker_url)
        #: As whom it publishes, so that what it moves is told from what producers send.
        self.user = user_of(settings.broker_url)
        self.publisher = Publisher(connect)
        #: Publishes what holds something of a producer's.
        self.forwarder = Forwarder(connect)
        self._lanes = lanes
        self._outcome_stream = OutcomeStream(connect, self.publisher)
        self._heartbeats = HeartbeatReader(
            settings.accounts,
            connect,
            self.publisher,
            self.user,
            lambda venue, account: self.observer.dead_man_fired(venue, account),
            lambda account, armed: self.lanes(account).set_timer(account, armed=armed),
        )
        self.pauses = Pauses(
            settings.accounts,
            self._hold_routine,
            self.publisher.publish,
            self.owns,
            self.user,
        )
        self._pause_stream = PauseStream(connect, self.pauses.take)
        #: Called, by another thread, when accounts were paused or resumed.
        self.on_pauses: Callable[[], object] = tuple
        self.observer = observer
        #: What the consumer read, for the task that comes of it; each lives with its message.
        self.bundles: WeakValueDictionary[str, Bundle] = WeakValueDictionary()
        self._owned: set[str] = set()
        self.pulse = Pulse()
        #: For how long (seconds) the broker lets a worker hold a message, as far as is known.
        self.longest_hold_s = LONGEST_HOLD_S

    def listen(self, write: Callable[[str], object]) -> None:
        """Begin to hear of the lanes; `write` gets the lines of their log."""
        for process in self.processes():
            process.listen(lambda call: self.observer.venue_call(call), write)
        if not self.embedded:  # that broker keeps no pauses
            self.pauses.doubt()

    def lanes(self, account: str) -> LaneClient:
        """Return the process that drives the lane of an account."""
        return self._lanes[account]

    def processes(self) -> list[LaneClient]:
        """Return the processes in which the lanes live."""
        return list(dict.fromkeys(self._lanes.values()))

    def stats(self) -> dict[str, LaneStats]:
        """Return how each lane that was used stands now."""
        found: dict[str, LaneStats] = {}
        for process in self.processes():
            found |= process.stats()
        return found

    def unconfirmed_s(self, now: float) -> float:
        """Return for how long (seconds) the broker has not taken what was published; 0: all."""
        return max(self.publisher.waited_s(now), self.forwarder.waited_s(now))

    def conditions(self) -> dict[str, AccountCondition]:
        """Return how the venue serves each account whose lane is this worker's."""
        return {name: self._condition(name) for name in sorted(self._owned)}

    def _condition(self, account: str) -> AccountCondition:
        found = self.lanes(account).conditions.get(account, AccountCondition())
        if not self.routine_paused(account):
            return found
        pause = self.pauses.of(account)
        if pause is None:
            return found._replace(routine_pause=_UNREAD)
        words = "at", "requested_by", "sent_by", "reason"
        return found._replace(routine_pause={word: getattr(pause, word) for word in words})

    def routine_paused(self, account: str) -> bool:
        """Say whether nothing routine leaves for an account, as somebody paused it."""
        return not self.embedded and self.pauses.paused(account)

    def read_pauses(self, timeout_s: float) -> bool:
        """Read who is paused; where that takes too long, say so, and hold all routine ids."""
        if self._pause_stream.read_anew(timeout_s):
            return True
        self.pauses.doubt()
        return False

    def _hold_routine(self, accounts: frozenset[str]) -> None:
        for process in self.processes():
            process.hold_routine(accounts)
        self.on_pauses()

    def earlier_outcomes(self, job: CancelJob) -> Future[list[bytes]]:
        """Find the outcomes that were published earlier for a job."""
        if self.embedded:  # that broker keeps no outcomes
            nothing: Future[list[bytes]] = Future()
            nothing.set_result([])
            return nothing
        if job.scope is not None:
            return self._outcome_stream.find(job.account, prefix=message_id(job.job_id, ""))
        names = [message_id(job.job_id, ref.id) for ref in job.refs]
        return self._outcome_stream.find(job.account, names)

    def own(self, account: str) -> None:
        """Note that the account's lane is this worker's from now on."""
        self._owned.add(account)
        self._heartbeats.own(account)

    def owns(self, account: str) -> bool:
        """Say whether this worker is the one that serves the account's lane."""
        return account in self._owned

    def give_up(self, account: str) -> None:
        """Another worker owns the lane now, or will: send nothing more for it."""
        self._owned.discard(account)
        self._heartbeats.give_up(account)
        self.lanes(account).release(account, DISOWNED)

    def stop(self) -> None:
        """Send nothing more; what is in flight is finished by its tasks."""
        self._heartbeats.stop()
        self.publisher.stop()
        self.forwarder.stop()
        for process in self.processes():
            process.stop()

    def close(self) -> None:
        """Publish what is left and end."""
        self._heartbeats.stop()
        self._outcome_stream.close()
        self._pause_stream.close()
        for process in self.processes():
            process.close()
        self.publisher.close()
        self.forwarder.close()
