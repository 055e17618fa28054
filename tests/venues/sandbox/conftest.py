"""One sandbox process for all tests, emptied between them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from venues.sandbox.client import SandboxClient, start_sandbox

from .callers import KEY, SECRET


@pytest.fixture(scope="session")
def process() -> Iterator[SandboxClient]:
    with start_sandbox() as client:
        yield client


@pytest.fixture
def sandbox(process: SandboxClient) -> SandboxClient:
    process.reset()
    for venue in ("coinw", "ztdx", "kuna"):
        process.add_account(venue, KEY, SECRET)
    return process
