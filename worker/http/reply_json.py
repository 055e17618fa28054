"""Reads the JSON of a venue's reply; of a long list no more than the venue's file looks at."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from typing import Any

from pydantic_core import SchemaValidator, core_schema, from_json

from venues.base import Projection

#: Numbers that other programs write into JSON; the reader of rows would take them.
_NO_JSON = ("NaN", "Infinity")


def read_json(text: str, rows: Projection | None = None) -> Any:
    """Return the value of a text; None where it is no JSON.

    Of `rows` only the fields that they name; a reply that is of another shape is read whole.
    """
    if rows is not None and not any(word in text for word in _NO_JSON):
        with suppress(ValueError):
            return _reader(rows).validate_json(text)
    try:
        return from_json(text, allow_inf_nan=False)
    except ValueError:
        return None


@cache
def _reader(rows: Projection) -> SchemaValidator:
    """Return what reads such a reply: to make objects of all its rows takes twice as long."""
    field = core_schema.typed_dict_field(core_schema.any_schema(), required=False)
    row = core_schema.typed_dict_schema(dict.fromkeys(rows.fields, field))
    at = core_schema.typed_dict_field(core_schema.list_schema(row))
    return SchemaValidator(core_schema.typed_dict_schema({rows.at: at}, extra_behavior="allow"))
