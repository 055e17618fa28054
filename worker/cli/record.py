"""`cancel-worker record`: keep outcomes and reports in a database, beside the workers."""

from __future__ import annotations

import os
import signal
import sys
import threading

import structlog

from worker import log
from worker.cli.broker import TIMEOUT_S, broker_address, open_connection
from worker.cli.database import Url, open_store
from worker.cli.output import Problem
from worker.record.consume import Recorder
from worker.record.store import DEFAULT_URL
from worker.settings import ConfigError, environment, log_form


def record(*, url: Url = DEFAULT_URL) -> None:
    """Write outcomes and reports into a database, until told to stop (SIGTERM or Ctrl-C)."""
    store, stop = open_store(url), threading.Event()
    try:
        log.set_up((), log_form(environment(), sys.stdout.isatty()), sys.stdout)
    except ConfigError as error:
        raise Problem(str(error), os.EX_CONFIG) from None
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    broker = broker_address()
    recorder = Recorder(store, lambda: open_connection(broker, TIMEOUT_S), stop)
    recorder.run()
    structlog.get_logger().info("record_stopped", written=recorder.written)
    store.close()
