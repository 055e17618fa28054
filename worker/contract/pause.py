"""An operator's word on one account as it is published: nothing routine leaves, or it does."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from worker.contract.job import InvalidJob, Label, read_json

#: A longer message is no word on an account.
MOST_BYTES = 4096


class PauseMessage(BaseModel):
    """A word on one account: from `pause` to `resume` nothing routine leaves for it."""

    model_config = ConfigDict(strict=True, title="AccountPause")

    action: Literal["pause", "resume"]
    account: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = Field(
        description="Name in the accounts file."
    )
    requested_by: Label = Field(default="", description="As the sender says.")
    reason: Label = ""
    at: Annotated[str, StringConstraints(max_length=64)] = Field(
        default="", description="When it was sent, as the sender says."
    )


def read_pause(body: bytes) -> PauseMessage:
    """Return the word on an account that a body is.

    Raises:
        ValueError: it is none.
    """
    try:
        return PauseMessage.model_validate(read_json(body, most_bytes=MOST_BYTES))
    except InvalidJob as error:
        raise ValueError(error.detail) from None
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, fault["loc"])) or "message"
        raise ValueError(f"{where}: {fault['msg']}") from None
