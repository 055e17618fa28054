"""The heartbeat of a producer whose death is to cancel all orders of an account."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

PRODUCER = r"^[A-Za-z0-9._-]{1,64}$"


class HeartbeatMessage(BaseModel):
    """A producer says that it lives, or that it ends in order."""

    model_config = ConfigDict(extra="ignore", strict=True)

    producer: Annotated[str, Field(pattern=PRODUCER)] = Field(
        description="Its name, the same after a restart; each is watched by itself."
    )
    bye: bool = Field(
        default=False,
        description="The producer ends in order: its silence is no death from now on.",
    )


def read_heartbeat(body: bytes) -> HeartbeatMessage | None:
    """Return the heartbeat of a message's body; None if it is none."""
    try:
        return HeartbeatMessage.model_validate_json(body)
    except ValueError:
        return None
