"""The report on a whole job as it is published: its schema and its message id."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from venues.words import CancelStatus, OrdType, Priority
from worker.contract.outcome import message_id

SCHEMA_VERSION = 1
#: Orders that a report names as resting, at most; `resting_count` counts all.
MOST_RESTING = 1000


class Result(StrEnum):
    """What a report says of its job; docs/contract.md says what a reader may rely on."""

    DONE = "done"
    EMPTY = "empty"
    NOT_EMPTY = "not_empty"
    UNPROVEN = "unproven"


class ListProof(BaseModel):
    """A list of open orders that showed none of the scope, in all reads between two times."""

    list: str = Field(description="The venue's list, as `cancel-worker venues` names it.")
    symbol: str = Field(description="Of one instrument only; empty: of all.")
    first_read_at: str = Field(description="When the first of these reads began.")
    last_read_at: str = Field(description="When the last of these reads began.")
    others: Annotated[int, Field(ge=0)] = Field(
        description="Open orders outside of the scope that the last read showed."
    )


class Resting(BaseModel):
    """An order of the scope that a list still shows, or showed last, and why."""

    id: str
    kind: str
    symbol: str
    ord_type: str
    reason: str


class Unread(BaseModel):
    """A list that could not be read in full, or that cannot tell what the scope asks for."""

    list: str
    symbol: str
    reason: str


class LeftOut(BaseModel):
    """Orders of the scope that the venue does not list, so that nothing was done to them."""

    ord_types: list[OrdType]
    reason: str


class CancelAllClaim(BaseModel):
    """A cancel-all of the venue that left for the scope, and what its reply claims."""

    request: str = Field(description="As the log calls its route.")
    symbol: str = Field(description="Of one instrument only; empty: of all.")
    claimed: int | None = Field(
        description="So many orders the venue says it took; null: it does not say. No proof."
    )


class ReportMessage(BaseModel):
    """What became of a whole job, as it is published and logged (`job_done`)."""

    model_config = ConfigDict(title="CancelReport")

    schema_version: Literal[1]
    message_id: str = Field(description="As in AMQP: the same whenever the job is done again.")
    job_id: str
    venue: str
    account: str
    priority: Priority
    result: Result
    scope: Literal["all"] | dict[str, Any] | None = Field(
        default=None, description="As the job stated it; left out of a job with `orders`."
    )
    hold_s: float | None = Field(default=None, description="Of a scope only.")
    counts: dict[CancelStatus, int] = Field(description="Ids by their status.")
    accepted_at: str
    first_sent_at: str | None = Field(
        description="When the first request to cancel left; null: none did, as far as is known."
    )
    last_sent_at: str | None = Field(description="When the last request to cancel left.")
    finished_at: str
    latency_ms: float
    proof: list[ListProof] = Field(
        default=[], description="Of `empty`: each list that was read, and when."
    )
    resting: list[Resting] = Field(
        default=[], max_length=MOST_RESTING, description="Orders of the scope that still rest."
    )
    resting_count: int = Field(default=0, description="How many, also beyond those named.")
    unread: list[Unread] = Field(default=[], description="What could not be read, and why.")
    left_out: list[LeftOut] = Field(
        default=[], description="What the venue does not list: said before anything is sent."
    )
    cancel_alls: list[CancelAllClaim] = Field(
        default=[],
        description="Of the venue, which left first. Orders that these took before a list "
        "showed them, and that no reply names, are in no count.",
    )
    requested_by: str
    sent_by: str
    reason: str = Field(description="The `reason` of the job, as it was sent.")
    tags: dict[str, str]
    unknown_fields: list[str] = Field(
        default=[],
        description="Fields of the job that mean nothing here, perhaps misspelt: not read.",
    )


def report_id(job_id: str) -> str:
    """Return the message id of a job's report: `report/<job_id>`, at most 255 bytes."""
    return message_id("report", job_id)
