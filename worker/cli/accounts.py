"""The accounts file as the command line reads it, and quotas as people write them."""

from __future__ import annotations

import os

from venues.base import Quota
from worker.cli.output import Problem
from worker.settings import ConfigError, Settings, environment, load


def settings() -> Settings:
    """Read the accounts file of the environment.

    Raises:
        Problem: it cannot be used.
    """
    try:
        return load(environment())
    except ConfigError as error:
        raise Problem(str(error), os.EX_CONFIG) from None


def rate(quota: Quota) -> str:
    """Return a quota as the accounts file has it, like 10/1s."""
    return f"{quota.limit}/{quota.window_s:g}s"
