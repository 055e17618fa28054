"""The log: one JSON object a line on standard output, and no secret in any of them."""

from __future__ import annotations

import atexit
import io
import json
import logging
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Literal, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from venues.credential import Credential

_SIGNED = re.compile(r"(?i)\b(signature|sign|api[-_]?(?:key|secret|passphrase))=[^\s&\"']+")
_HIDDEN = "[hidden]"
#: Docker cuts a longer line into pieces that are no JSON.
MOST_LINE_BYTES = 16 << 10
#: Characters of a text, and items of a list, that a line that is too long keeps; tried in turn.
_SHORTER = (1000, 100, 10)
#: What some readers take for the end of a line, as JSON writes it.
_LINE_ENDS = {ord(char): f"\\u{ord(char):04x}" for char in "\x85\u2028\u2029"}
#: Lines that may wait for a stream that nobody reads.
MOST_LINES_WAITING = 10_000
MOST_LINES_AT_ONCE = 500
_PATIENCE_S = 5.0


class Lines:
    """A stream with one writer thread, which writes all lines that have come at once.

    Any other thread that wrote would give the interpreter away. The writer waits `linger_s`
    seconds for more lines, where each write wakes another process. It also renders the events:
    to render many in a row takes a fraction of the time that it takes among other work.
    """

    def __init__(
        self,
        stream: TextIO,
        linger_s: float = 0.0,
        render: Callable[[EventDict], str] = json.dumps,
    ) -> None:
        self._stream = stream
        self._linger_s = linger_s
        self._render = render
        self._lines: SimpleQueue[str | EventDict] = SimpleQueue()
        self._open = True
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def write(self, text: str) -> int:
        """Queue a line; block while the queue is full because nobody reads the stream."""
        self.put(text)
        return len(text)

    def put(self, line: str | EventDict) -> None:
        """Queue a line, or an event to be rendered; block as `write` does."""
        self._lines.put(line)
        while self._lines.qsize() > MOST_LINES_WAITING:
            time.sleep(0.01)

    def flush(self) -> None:
        """Do nothing: what was written is queued."""

    def close(self) -> None:
        """Write what is queued; give up after some seconds on a stream that nobody reads."""
        self._open = False
        self._lines.put("")  # wakes the thread
        self._thread.join(_PATIENCE_S)

    def _run(self) -> None:
        while self._open or not self._lines.empty():
            lines = [self._lines.get()]
            if self._linger_s and self._open:
                time.sleep(self._linger_s)
            while len(lines) < MOST_LINES_AT_ONCE and not self._lines.empty():
                lines.append(self._lines.get())
            # A full disk, or a reader that is gone, must not stop cancels.
            with suppress(OSError, ValueError):
                self._stream.write("".join(map(self._text, lines)))
                self._stream.flush()

    def _text(self, line: str | EventDict) -> str:
        if isinstance(line, str):
            return line
        try:
            return f"{self._render(line)}\n"
        except Exception as error:  # noqa: BLE001 - whatever cannot be shown; the rest can
            return tell("unreadable_event", error)


def tell(event: str, error: Exception) -> str:
    """Return a line that reports why an event could not be rendered or written."""
    return f"{json.dumps({'event': event, 'error': type(error).__name__})}\n"


class Scrub:
    """Renders events as lines that hold no key, secret or signature."""

    def __init__(self, credentials: Iterable[Credential], render: Processor) -> None:
        self._render = render
        words = {word for each in credentials for word in each.given.values()}
        # As they stand in a text, in an object's repr, and in either within a line of JSON.
        shown = words | {repr(word)[1:-1] for word in words}
        escaped = {
            json.dumps(word, ensure_ascii=a)[1:-1] for word in shown for a in (True, False)
        }
        self._words = shown | escaped
        longest_first = sorted(self._words, key=len, reverse=True)
        self._any = re.compile("|".join(map(re.escape, longest_first)) or "(?!)")

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> str:
        """Render an event; clean its values one by one only if the line holds a secret."""
        line = self._line(logger, method, event)
        if self._is_suspect(line):
            event = {key: self._clean(value) for key, value in event.items()}
            line = self._line(logger, method, event)
        for most in _SHORTER if len(line) * 4 > MOST_LINE_BYTES else ():
            if len(line.encode()) < MOST_LINE_BYTES:
                break
            short = {key: _shortened(value, most) for key, value in event.items()}
            line = self._line(logger, method, short)
        return line

    def _line(self, logger: WrappedLogger, method: str, event: EventDict) -> str:
        """Render an event as one line of text that every stream and reader takes as one."""
        line = str(self._render(logger, method, dict(event)))
        if line.isascii():
            return line
        return line.encode("utf-8", "backslashreplace").decode().translate(_LINE_ENDS)

    def _is_suspect(self, line: str) -> bool:
        return any(word in line for word in self._words) or (
            "=" in line and _SIGNED.search(line) is not None
        )

    def text(self, text: str) -> str:
        """Return the text with secrets and signatures hidden."""
        return _SIGNED.sub(rf"\1={_HIDDEN}", self._any.sub(_HIDDEN, text))

    def _clean(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {key: self._clean(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._clean(item) for item in value]
        if value is None or isinstance(value, bool | int | float):
            return value
        return self.text(repr(value))  # as it would be rendered


def _shortened(value: Any, most: int) -> Any:
    """Return a value of which no text or list is long."""
    if isinstance(value, dict):
        items = list(value.items())[:most]
        return {_shortened(key, most): _shortened(item, most) for key, item in items}
    if isinstance(value, list | tuple):
        return [_shortened(item, most) for item in value[:most]]
    if isinstance(value, str):  # the end of a traceback says more than its beginning
        return value if len(value) <= most else f"{value[: most // 2]}…{value[-most // 2 :]}"
    return value if value is None or isinstance(value, int | float) else repr(value)[:most]


def set_up(
    credentials: Iterable[Credential],
    form: Literal["json", "console"],
    stream: TextIO,
    linger_s: float = 0.0,
) -> Lines:
    """Make structlog and the standard library's loggers write to `stream` in one form."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(encoding="utf-8")
    scrub = Scrub(credentials, _renderer(form))
    lines = Lines(stream, linger_s, lambda event: scrub(None, "", event))
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, _as_it_is],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: _Events(lines),
        cache_logger_on_first_use=True,
    )
    last: list[Processor] = [structlog.processors.format_exc_info, scrub]
    handler = logging.StreamHandler(cast(TextIO, lines))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    _take_over(handler)
    return lines


class _Events:
    """A logger that hands its events to the writer thread, which renders them."""

    def __init__(self, lines: Lines) -> None:
        self.debug = self.info = self.warning = self.error = self.critical = lines.put


def _as_it_is(_logger: WrappedLogger, _method: str, event: EventDict) -> tuple[Any, Any]:
    """Pass an event on as it is: the writer thread renders it."""
    return (event,), {}


def _renderer(form: Literal["json", "console"]) -> Processor:
    if form == "json":
        return structlog.processors.JSONRenderer(ensure_ascii=False)
    return structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty())


def _take_over(handler: logging.Handler) -> None:
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    # At lower levels they log URLs, which hold signatures.
    for noisy in ("urllib3", "requests", "amqp", "kombu"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # Celery's own failure lines are the only sign of a fault of ours: kept, at their level.
    logging.getLogger("celery").setLevel(logging.WARNING)
    # For a message that the broker keeps, our own line says so, without a traceback.
    logging.getLogger("celery.app.trace").setLevel(logging.ERROR)
    logging.captureWarnings(True)
