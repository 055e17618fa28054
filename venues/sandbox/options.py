"""The settings that there are, and what each may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Option:
    """A setting: its default, and what it may be: one of some choices, else a number."""

    default: Any
    choices: tuple[Any, ...] = ()
    nullable: bool = False
    #: what the items of a list are
    items: tuple[type, ...] = ()

    def check(self, name: str, value: Any) -> None:
        """Raise ValueError where the setting may not be that."""
        if self.choices:
            if value not in self.choices:
                raise ValueError(f"{name} must be one of {self.choices}, not {value!r}")
        elif not (value is None and self.nullable) and type(value) not in self._types:
            raise ValueError(f"{name} cannot be {value!r}")
        elif self.items and any(type(item) not in self.items for item in value):
            raise ValueError(f"{name} cannot hold all of {value!r}")

    @property
    def _types(self) -> tuple[type, ...]:
        return (type(self.default),) if isinstance(self.default, dict | list) else (int, float)


#: settings of the sandbox itself; a venue's own are named `venue.option`
GENERAL = {
    "rtt_ms": Option(0.0),
    "jitter_ms": Option(0.0),
    "seed": Option(0),
    "clock_ms": Option(None, nullable=True),
    "count_refused": Option(False, (False, True)),
    "record_ids": Option(True, (False, True)),
    "limits": Option({}),
    "key_limits": Option({}),
}

#: settings that every venue has: what another venue of its kind might do, and none is known to
BEHAVIOR = {
    "read_lags_s": Option([], items=(int, float)),
    "record_lag_s": Option(0),
    "lists_hide_s": Option(0),
    "cancel_lag_s": Option(0),
    "page_rows": Option(None, nullable=True),
    "left_out": Option([], items=(str,)),
    "empty_lists": Option("list", ("list", "null", "object", "missing")),
    "words": Option({}),
    "row_fields": Option({}),
}


def check_setting(options: Mapping[str, Option], name: str, value: Any) -> None:
    """Raise ValueError where there is no such setting or it may not be that."""
    if name not in options:
        raise ValueError(f"no setting {name!r}; there are {', '.join(sorted(options))}")
    options[name].check(name, value)
