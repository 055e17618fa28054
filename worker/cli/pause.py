"""`cancel-worker pause`: nothing routine leaves for an account; kills do."""

from __future__ import annotations

from worker.cli import job_draft
from worker.cli.broker import TIMEOUT_S, BrokerTimeout
from worker.cli.output import AsJson, Output
from worker.cli.pausing import Accounts, AllAccounts, Yes, names_of, say, word_on


def pause(
    accounts: Accounts = None,
    *,
    all_accounts: AllAccounts = False,
    reason: job_draft.Reason = "",
    requested_by: job_draft.RequestedBy = "",
    yes: Yes = False,
    broker_timeout: BrokerTimeout = TIMEOUT_S,
    as_json: AsJson = False,
) -> None:
    """Let nothing routine leave for accounts until they are resumed; kills leave.

    Routine jobs wait; at its deadline a job is told as failed. It outlives every restart.
    Exit 3: a worker answers and has not heard it.
    """
    names = names_of(accounts or (), all_accounts=all_accounts)
    words = [word_on("pause", name, reason, requested_by) for name in names]
    say(words, Output(as_json=as_json), broker_timeout, yes=yes)
