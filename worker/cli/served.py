"""Whether somebody serves an account, asked before its job is sent."""

from __future__ import annotations

from collections.abc import Sequence

import amqp
from kombu import Connection

from worker.amqp import topology
from worker.cli.accounts import known_names
from worker.cli.broker import is_embedded, queue_size, routed
from worker.cli.job_draft import Draft
from worker.cli.output import Output, Problem
from worker.settings import ConfigError, environment, load_each

_USAGE = 2


def check_served(
    connection: Connection, job: Draft, output: Output, *, dry_run: bool = False
) -> None:
    """Note it where no worker serves the account of a job now; in a `dry_run` none is sent.

    A job is rather sent than held back where the broker does not tell.

    Raises:
        Problem: the account has no queue, so no worker would take the job.
    """
    if is_embedded(connection):
        if not routed(connection, job.key):
            raise no_account(job.account)
        return
    try:
        size = queue_size(connection, topology.lane_queue_name(job.account, job.priority))
    except amqp.AccessRefused:
        sent = "" if dry_run else "; sent"
        output.note(f"this user has no right to see whether {job.account} is served{sent}")
        return
    except amqp.ChannelError:
        return
    if size is None:
        with connection.channel() as channel:  # without any exchange, no worker was ever here
            topology.jobs_exchange(False)(channel).declare(passive=True)
        raise no_account(job.account)
    if not size[1]:
        waits = "a job would wait" if dry_run else "the job waits"
        output.note(f"no worker serves {job.account} now; {waits}")


def no_account(account: str) -> Problem:
    """Return what is said of an account that has no queue at the broker."""
    known = _names()
    if account in known:
        mend = "start a worker with this accounts file"
        return Problem(f"{account} has no queue at the broker; {mend}", _USAGE)
    mend = known_names(account, known) or "check the name, or start a worker that has it"
    return Problem(f"no account {account!r} at the broker; {mend}", _USAGE)


def _names() -> Sequence[str]:
    """Return the names of the accounts file; who only sends jobs need not have one."""
    try:
        return sorted(load_each(environment()))
    except ConfigError:
        return ()
