"""`python -m tests.fuzz TARGET [libFuzzer options]`: the property tests, guided by coverage.

Needs `pip install atheris hypothesis`. A target is a test of `tests/fuzz/` without `test_`.
`-max_total_time=60` ends after a minute; a failure is written beside you as `crash-…`, and that
file as an argument replays it.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["worker", "venues"]):
    from tests.fuzz import test_intake, test_venues, test_wire

MODULES = (test_intake, test_venues, test_wire)


def main() -> None:
    """Fuzz one target until it fails or the time is over."""
    targets = {
        name.removeprefix("test_"): test
        for module in MODULES
        for name, test in vars(module).items()
        if name.startswith("test_")
    }
    name = sys.argv.pop(1) if len(sys.argv) > 1 else ""
    if name not in targets:
        sys.exit(f"fuzz: which of {', '.join(sorted(targets))}?")
    atheris.Setup(sys.argv, targets[name].hypothesis.fuzz_one_input)
    atheris.Fuzz()


main()
