"""The accounts file as the command line reads it, and quotas as people write them."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from difflib import get_close_matches

from venues.base import Quota
from worker.cli.output import Problem
from worker.settings import Account, ConfigError, Settings, environment, load, load_each

#: Names that are listed where none is close to what was typed.
_MOST_NAMED = 10


def settings() -> Settings:
    """Read the accounts file of the environment.

    Raises:
        Problem: it cannot be used.
    """
    try:
        return load(environment())
    except ConfigError as error:
        raise Problem(str(error), os.EX_CONFIG) from None


def each_account(names: Sequence[str]) -> dict[str, Account | ConfigError]:
    """Return the accounts of these names, all where there are none, and why one is no use.

    Raises:
        Problem: the accounts file cannot be read, or has no account of a name.
    """
    try:
        known = load_each(environment())
    except ConfigError as error:
        raise Problem(str(error), os.EX_CONFIG) from None
    for name in names:
        if name not in known:
            raise Problem(
                f"no account {name!r} in the accounts file; {known_names(name, known)}", 2
            )
    return {name: known[name] for name in dict.fromkeys(names)} if names else known


def known_names(name: str, known: Collection[str]) -> str:
    """Return what a name that nobody knows may have meant; "" where none is known."""
    if near := get_close_matches(name, known, 1):
        return f"did you mean {near[0]}?"
    if not known:
        return ""
    more = ", …" if len(known) > _MOST_NAMED else ""
    return f"known are {', '.join(sorted(known)[:_MOST_NAMED])}{more}"


def rate(quota: Quota) -> str:
    """Return a quota as the accounts file has it, like 10/1s."""
    return f"{quota.limit}/{quota.window_s:g}s"
