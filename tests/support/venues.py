"""A sandbox with accounts at one venue, and a worker that serves them, for tests end to end."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.rabbitmq import RabbitNode
from tests.support.worker import WorkerProcess, accounts_file
from venues.sandbox.client import SandboxClient, start_sandbox


def key_of(account: str) -> str:
    """Return the key of an account; no log may hold it."""
    return f"planted-key-{account}"


def secret_of(venue: str, account: str) -> str:
    """Return the secret of an account, in the form that its venue demands."""
    word = f"planted-secret-{account}"
    return base64.b64encode(word.encode()).decode() if venue == "kraken_spot" else word


@contextmanager
def sandbox_of(venue: str, accounts: Sequence[str]) -> Iterator[SandboxClient]:
    """Run a sandbox in which these accounts are, 10 ms away."""
    with start_sandbox() as client:
        client.settings({"rtt_ms": 10})
        for account in accounts:
            client.add_account(venue, key_of(account), secret_of(venue, account))
        yield client


@contextmanager
def worker_of(
    rabbit: RabbitNode,
    sandbox: SandboxClient,
    venue: str,
    accounts: Mapping[str, Sequence[str]],
    folder: Path,
    env: Mapping[str, str] | None = None,
) -> Iterator[WorkerProcess]:
    """Run a worker for accounts; each has lines of its table in the accounts file."""
    tables = {
        account: {
            "venue": venue,
            "base_url": sandbox.url,
            "key": key_of(account),
            "secret": secret_of(venue, account),
            "extra": lines,
        }
        for account, lines in accounts.items()
    }
    given = accounts_file(tables, folder / "cancel.toml") | dict(env or {})
    with WorkerProcess(rabbit.url, given, folder / "worker.log", name=venue) as process:
        yield process


def seed(sandbox: SandboxClient, venue: str, account: str, order_id: str, **fields: Any) -> str:
    """Put one order on an account's book and return its id. Its product: the account's name."""
    raw = {"venue": venue, "api_key": key_of(account), "id": order_id, "product": account}
    sandbox.seed([raw | fields])
    return order_id


def told(found: list[Any]) -> dict[str, tuple[str, str]]:
    """Return status and reason by id."""
    return {each["id"]: (each["status"], each["reason"]) for each in found}


def is_as_told(sandbox: SandboxClient, product: str) -> bool:
    """Say whether no order is open any more, and nobody traded or was throttled."""
    open_ones = [
        each for each in sandbox.book() if each.state == "open" and each.product == product
    ]
    throttled = [each for each in sandbox.limits() if each.throttled]
    return not open_ones and not sandbox.incidents() and not throttled
