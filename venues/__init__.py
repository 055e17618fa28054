"""The venues: one file each, found by looking into this folder.

Read `words` (orders, their states and types), `credential`, `base` (what a venue is: tables and
three pure functions), then a venue, say `ztdx`. `sandbox` serves all venues for tests.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from venues.base import Venue


@cache
def all_venues() -> dict[str, Venue]:
    """Return every venue by name; a file that defines none is an error of ours."""
    found = (
        module.name
        for module in pkgutil.iter_modules(__path__)
        if module.name not in ("base", "credential", "extras", "words") and not module.ispkg
    )
    venues = [_venue_of(name) for name in found]
    return {venue.name: venue for venue in venues}


def _venue_of(module_name: str) -> Venue:
    module = importlib.import_module(f"{__name__}.{module_name}")
    (kind,) = (
        item
        for item in vars(module).values()
        if isinstance(item, type) and issubclass(item, Venue) and item is not Venue
    )
    return kind()
