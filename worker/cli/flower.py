"""`cancel-worker flower`: Flower with the product's settings, in whatever folder."""

from __future__ import annotations

import importlib.util
import os
from typing import Any

import typer

from worker.cli.output import Problem

#: Flower's own options are Flower's to read.
PASSES_ON: dict[str, Any] = {"allow_extra_args": True, "ignore_unknown_options": True}


def flower(context: typer.Context) -> None:
    """Watch workers and jobs in a browser: Flower on 127.0.0.1:5555, read-only.

    Takes Flower's own options (--port=5556) and variables (FLOWER_BASIC_AUTH=user:password).
    """
    if importlib.util.find_spec("flower") is None:
        text = "Flower is not installed; pip install 'cancel-worker[flower]'"
        raise Problem(text, os.EX_UNAVAILABLE)
    # Here, as Celery's own command line takes a while to load.
    from celery.bin.celery import celery

    words = ["-A", "worker", "flower", *context.args]
    celery(words, prog_name="celery", auto_envvar_prefix="CELERY")
