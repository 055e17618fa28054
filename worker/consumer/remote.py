"""What may be asked of a worker from outside, beside Celery's own questions."""

from __future__ import annotations

from typing import Any

from celery.worker.control import inspect_command


@inspect_command()
def accounts(state: Any, **_: Any) -> dict[str, dict[str, Any]]:
    """Return how the venue serves each account of this worker; no venue is asked."""
    return {
        name: condition._asdict() for name, condition in state.app.runtime.conditions().items()
    }
