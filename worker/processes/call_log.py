"""What is logged and counted of each venue request."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from venues.base import Verdict
from worker.lane.entry import Sending
from worker.orders.judge import Judgement
from worker.settings import Account
from worker.stats import VenueCall

#: A request may carry ids of many jobs; its log line names at most this many of them.
MOST_JOBS_NAMED = 20
#: Verdicts on the account rather than on an order; the first of them names the whole request.
_OF_ACCOUNT = (Verdict.HALT, Verdict.BANNED, Verdict.THROTTLED, Verdict.CLOCK)


class CallLog:
    """Writes the log lines of one account's requests and reports each to the statistics."""

    def __init__(
        self, account: Account, log: Any, observe: Callable[[VenueCall], None]
    ) -> None:
        self._account = account
        self._log = log
        self._observe = observe

    def answered(self, sending: Sending, status: int, heard: Sequence[Judgement]) -> None:
        """Note a request that was answered; `heard` are its distinct judgements in order."""
        self._write(sending, http_status=status, venue_code=heard[0].venue_code)
        self._report(sending, result_of({judgement.verdict for judgement in heard}))
        self._write_unmapped(sending, heard)

    def failed(self, sending: Sending, why: str) -> None:
        """Note a request that no reply came for."""
        self._write(sending, why=why)
        self._report(sending, why)

    def _write(self, sending: Sending, **found: object) -> None:
        owners = sending.owners()
        attempt = max((entry.progress.attempts for entry in sending.entries), default=0)
        self._log.info(
            "venue_request",
            route=sending.batch.route.name,
            ids=len(sending.batch.refs),
            jobs=len(owners),
            job_ids=[owner.job_id for owner in owners[:MOST_JOBS_NAMED]],
            traceparents=[owner.trace for owner in owners[:MOST_JOBS_NAMED] if owner.trace],
            elapsed_ms=_ms(time.monotonic() - sending.started),
            waited_ms=_ms(sending.waited_s),
            attempt=attempt,
            **({"http_status": None, "venue_code": ""} | found),
        )

    def _report(self, sending: Sending, result: str) -> None:
        self._observe(
            VenueCall(
                venue=self._account.venue.name,
                account=self._account.name,
                route=sending.batch.route.name,
                ids=len(sending.batch.refs),
                result=result,
                waited_s=sending.waited_s,
                elapsed_s=time.monotonic() - sending.started,
                is_escalation=sending.is_escalation,
            )
        )

    def _write_unmapped(self, sending: Sending, heard: Iterable[Judgement]) -> None:
        unmapped = {(j.venue_code, j.text) for j in heard if j.unmapped}
        for code, text in sorted(unmapped):
            route = sending.batch.route.name
            self._log.warning("unmapped_code", route=route, venue_code=code, text=text)


def result_of(verdicts: set[Verdict]) -> str:
    """Return one word for what a reply said about all its ids."""
    of_account = [verdict for verdict in _OF_ACCOUNT if verdict in verdicts]
    if of_account or len(verdicts) == 1:
        return (of_account or list(verdicts))[0]
    return "mixed"


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
