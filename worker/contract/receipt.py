"""The receipt for a job as it is published: who asked what, and whether a worker took it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from venues.words import Priority
from worker.contract.outcome import message_id

SCHEMA_VERSION = 1
#: Ids that a receipt names, at most; `ids_count` counts all.
MOST_IDS = 1000


class Answer(StrEnum):
    """What a worker did with a message."""

    TAKEN = "taken"
    REJECTED = "rejected"


class ReceiptMessage(BaseModel):
    """Who asked for what, as it is published once a worker has taken or rejected a job."""

    model_config = ConfigDict(title="JobReceipt")

    schema_version: Literal[1]
    message_id: str = Field(description="As in AMQP: the same whenever the job is taken again.")
    job_id: str = Field(description="Empty for a message without one.")
    venue: str = Field(description="Empty where the account is not known.")
    account: str = Field(description="As the job names it; empty where it names none.")
    priority: Priority | Literal[""] = Field(description="Empty where the key names none.")
    answer: Answer
    rejected_reason: str = Field(default="", description="A code of *Not a job*.")
    rejected_detail: str = Field(default="", description="A sentence: why.")
    ids: list[str] = Field(
        default=[], max_length=MOST_IDS, description="Ids that the job names, each once."
    )
    ids_count: Annotated[int, Field(ge=0)] = Field(
        default=0, description="How many, also beyond those named."
    )
    scope: Literal["all"] | dict[str, Any] | None = Field(
        default=None, description="As the job stated it; left out of a job with `orders`."
    )
    hold_s: float | None = Field(default=None, description="Of a scope only.")
    accepted_at: str = Field(description="When the worker read the job.")
    deadline: str | None = Field(default=None, description="Left out where it was rejected.")
    requested_by: str
    sent_by: str
    reason: str = Field(description="The `reason` of the job, as it was sent.")
    tags: dict[str, str] = {}
    unknown_fields: list[str] = []
    message_bytes: Annotated[int, Field(ge=0)] = Field(
        default=0, description="Of a rejected message: how long it is."
    )
    message_sha256: str = Field(
        default="", description="Of a rejected message, as it lies in `cancel.rejected`."
    )


def receipt_id(job_id: str) -> str:
    """Return the message id of a job's receipt: `receipt/<job_id>`, at most 255 bytes."""
    return message_id("receipt", job_id)
