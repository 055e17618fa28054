"""Imports what only some venues need, and keeps out what that changes for the whole process."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any


def import_extra(module: str) -> Any:
    """Import a module of an extra; the interpreter's recursion limit stays as it was.

    py_ecc, which eth-account imports, raises it to 100,000. JSON that is nested so deeply, of
    a producer or a venue, would then end the process in place of raising RecursionError.

    Raises:
        ImportError: it is not installed.
    """
    limit = sys.getrecursionlimit()
    try:
        return import_module(module)
    finally:
        sys.setrecursionlimit(limit)
