"""What a test cannot do without: missing on a laptop it is skipped, in CI that is an error."""

from __future__ import annotations

import os

import pytest


def need(found: bool, what: str) -> None:
    """Go on only if `found`; `what` says in one line what is missing and how to get it."""
    if found:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(what, pytrace=False)
    pytest.skip(what)
