"""The log: one JSON object a line on standard output, and no secret in any of them."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from worker.model import Credential

_SIGNED = re.compile(r"(?i)\b(signature|sign|api[-_]?key|api[-_]?secret)=[^\s&\"']+")
_HIDDEN = "[hidden]"


class Scrub:
    """Hides keys, secrets and signatures in whatever is about to be written."""

    def __init__(self, credentials: Iterable[Credential]) -> None:
        words = {w for c in credentials for w in (c.api_key, c.api_secret) if w}
        longest_first = sorted(map(re.escape, words), key=len, reverse=True)
        self._words = re.compile("|".join(longest_first)) if words else None

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        """Return the event with every string in it cleaned."""
        return {key: self._clean(value) for key, value in event.items()}

    def text(self, text: str) -> str:
        """Return a text that may be shown."""
        if self._words is not None:
            text = self._words.sub(_HIDDEN, text)
        return _SIGNED.sub(rf"\1={_HIDDEN}", text)

    def _clean(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {key: self._clean(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._clean(item) for item in value]
        return value


def set_up(
    credentials: Iterable[Credential], form: Literal["json", "console"], stream: TextIO
) -> None:
    """Make structlog and the standard library's loggers write to `stream` in one form."""
    scrub = Scrub(credentials)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Processor] = [
        structlog.processors.format_exc_info,
        structlog.processors.UnicodeDecoder(),
        scrub,
        _renderer(form),
    ]
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    _take_over(handler)


def _renderer(form: Literal["json", "console"]) -> Processor:
    if form == "json":
        return structlog.processors.JSONRenderer()
    return structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty())


def _take_over(handler: logging.Handler) -> None:
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    # Their lower levels tell URLs, and those hold signatures.
    for noisy in ("urllib3", "requests", "amqp", "kombu"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # Celery's own failure lines are the only sign of a fault of ours: kept, at their level.
    logging.getLogger("celery").setLevel(logging.WARNING)
    logging.captureWarnings(True)
