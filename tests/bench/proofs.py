"""How soon after the last cancel all ids are final, and whether all were proven."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tests.bench.bounds import last_proof_s
from tests.bench.figure import Figure

#: So much later than the venue's lags and limits allow the last id may be final, in seconds.
MOST_BEYOND_S = 3.0
#: What an id is told where the venue itself has shown what became of it.
_PROVEN = frozenset({"canceled", "filled", "closed", "not_found"})


def proven(outcomes: Iterable[Mapping[str, Any]]) -> int:
    """Return how many ids were told what the venue itself has shown."""
    return len({outcome["id"] for outcome in outcomes if outcome["status"] in _PROVEN})


def proofs(
    case: str, cancel_s: float, final_s: float, unproven: int, on_record: int = 0
) -> list[Figure]:
    """Return the figures of proofs, from times since the first request in seconds."""
    after_s, bound_s = final_s - cancel_s, last_proof_s(cancel_s, on_record)
    return [
        Figure(case=case, name="final after the last cancel, beyond the bound",
               value=after_s - bound_s, unit="s", must=MOST_BEYOND_S,
               note=f"{after_s:.2f} s after it, and the bound is {bound_s:.2f} s"),
        Figure(case=case, name="ids without a proof", value=unproven, unit="ids", must=0),
    ]  # fmt: skip
