"""Reads the JSON of a venue's reply; of a long list no more than the venue's file looks at."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from typing import Any

from pydantic_core import SchemaValidator, core_schema, from_json

from venues.base import Projection

#: Numbers that some programs write into JSON, which allows none of them. The reader of rows
#: would accept them.
_NO_JSON = ("NaN", "Infinity")


def read_json(text: str, rows: Projection | None = None) -> Any:
    """Return the value of a text; None where the text is no JSON.

    With `rows`, each row has only the fields that the projection names. A reply of another
    shape is read whole.
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
    """Return a reader for one projection: to make objects of whole rows takes twice as long.

    `SchemaValidator` is documented as internal; pydantic pins it (2.33 and later have this
    form), and `tests/worker/http/test_reply_json.py` is its canary.
    """
    field = core_schema.typed_dict_field(core_schema.any_schema(), required=False)
    row = core_schema.typed_dict_schema(dict.fromkeys(rows.fields, field))
    at = core_schema.typed_dict_field(core_schema.list_schema(row))
    return SchemaValidator(core_schema.typed_dict_schema({rows.at: at}, extra_behavior="allow"))
