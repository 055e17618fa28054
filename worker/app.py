"""The Celery application: made without touching anything, filled when a worker starts."""

from __future__ import annotations

import os
import socket
import sys
import threading
from contextlib import suppress
from functools import partial
from typing import Any, NoReturn

import click
import structlog
from celery import Celery, signals
from celery.app.amqp import AMQP
from kombu import Connection

from worker import flower, log
from worker.amqp import embedded as folder
from worker.amqp import topology
from worker.amqp.advice import advice
from worker.amqp.connection import HardenedConnection
from worker.amqp.publisher import CONFIRM_TIMEOUT_S
from worker.dead_man.kill import check_accounts, narrowed
from worker.dead_man.timer import check_timers, timers_narrowed
from worker.jobs.runtime import Runtime
from worker.processes.child import serve as serve_lanes
from worker.processes.client import start as start_lanes
from worker.processes.idle_gc import collect_when_idle
from worker.settings import (
    ConfigError,
    Settings,
    broker_tls,
    broker_url,
    environment,
    lane_processes,
    load,
    log_form,
    metrics_address,
)

#: How long a worker that starts waits for the broker, in seconds.
BROKER_TIMEOUT_S = 5.0


class _Amqp(AMQP):  # type: ignore[misc] # the library has no types
    """What Celery knows of the broker: each connection of the application is one of ours."""

    Connection = HardenedConnection


def make_app() -> Celery:
    """Return the application; it reads its settings when something runs it."""
    app = Celery("cancel_worker")
    app.config_from_object("celeryconfig")
    app.amqp_cls = _Amqp
    app.events_cls = "worker.consumer.events:Events"
    app.control_cls = "worker.consumer.mailbox:Control"
    app.on_after_configure.connect(_prepare_broker, weak=False)
    signals.celeryd_init.connect(_start, weak=False)
    signals.setup_logging.connect(_keep_log, weak=False)
    signals.worker_ready.connect(_say_ready, weak=False)
    signals.worker_shutting_down.connect(_stop_sending, weak=False)
    signals.worker_shutdown.connect(_close, weak=False)
    signals.import_modules.connect(_protect_flower, weak=False)
    return app


def _protect_flower(**_: Any) -> None:
    """Flower loads the tasks' modules when its options are read, just before it listens."""
    context = click.get_current_context(silent=True)
    if context is not None and context.command.name == "flower":
        from tornado.options import options

        flower.protect(options, context.params["tornado_argv"], environment())


def _cores() -> int:
    """Return how many cores this process may use; not every system can say."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def _prepare_broker(sender: Celery, source: Any, **_: Any) -> None:
    """Refuse an address that cannot be read: Celery would show half of the password."""
    env = environment()
    try:
        broker_url(dict(env) | {"CELERY_BROKER_URL": source.broker_url})
        broker_tls(env)
    except ConfigError as error:
        _end(str(error), os.EX_CONFIG)
    if folder.is_folder(source.broker_url):
        sender.conf.broker_transport_options = folder.options(source.broker_url)


def _keep_log(**_: Any) -> None:
    """Do nothing, so that Celery sets up no logging: `_start` has done so."""


def _start(instance: Any, conf: Any, **_: Any) -> None:
    """Read the settings, reach the broker and declare everything, or end with one line."""
    app, env = instance.app, environment()
    try:
        form = log_form(env, sys.stdout.isatty())
        figures_at = metrics_address(env)
        processes = lane_processes(env, _cores())
        settings = load(dict(env) | {"CELERY_BROKER_URL": conf.broker_url})
        check_accounts(settings.accounts)
        check_timers(settings.accounts)
    except ConfigError as error:
        _end(str(error), os.EX_CONFIG)
    # Before the first thread, and so before the log.
    serve = partial(serve_lanes, form=form, observed=figures_at is not None)
    lanes = start_lanes(settings.accounts, serve, processes=processes)
    lines = log.set_up((a.credential for a in settings.accounts.values()), form, sys.stdout)
    # Celery says "Warm shutdown" on the real standard output, past every setting.
    sys.__stdout__ = sys.__stderr__  # type: ignore[misc]
    _declare(app, settings)
    if not _embedded(settings):
        conf.broker_transport_options = conf.broker_transport_options | {"bounded": True}
    instance.quiet = True
    conf.task_queues = _queues(settings)
    # The worker consumes a lane's queues once it owns the lane, not from its start.
    app.amqp.queues.deselect(list(app.amqp.queues))
    app.runtime = Runtime(settings, lambda: connect(app), lanes)
    _keep_figures(app.runtime, figures_at)
    app.runtime.listen(lines.write)
    reach = (*narrowed(settings.accounts), *timers_narrowed(settings.accounts))
    for warning in (*settings.warnings, *reach):
        structlog.get_logger().warning("settings", detail=warning)
    structlog.get_logger().info("worker_started", accounts=sorted(settings.accounts))


def _keep_figures(runtime: Runtime, address: tuple[str, int] | None) -> None:
    """Serve statistics, if the environment asks for them."""
    if address is None:
        return
    # Imported here, as the import alone reads from /proc.
    from worker.metrics import serve

    try:
        runtime.observer = serve(runtime, address)
    except OSError as error:
        where, why = ":".join(map(str, address)), error.strerror or type(error).__name__
        line = f"cannot listen on {where} ({why}); give each worker a port of its own"
        _end(f"CANCEL_METRICS: {line}", os.EX_CONFIG)


def _embedded(settings: Settings) -> bool:
    return topology.is_embedded(settings.broker_url)


def _queues(settings: Settings) -> list[Any]:
    embedded = _embedded(settings)
    return [
        queue
        for name in settings.accounts
        for queue in topology.lane_queues(name, embedded, declared=True)
    ]


def connect(app: Celery) -> Connection:
    """Return a connection for one thread; its channels confirm only on request."""
    amqp = {"confirm_publish": False, "buffered": True, "read_timeout": CONFIRM_TIMEOUT_S}
    options = amqp if app.conf.broker_url.startswith("amqp") else {}
    return app.connection_for_write(
        heartbeat=0, connect_timeout=BROKER_TIMEOUT_S, transport_options=options
    )


def _declare(app: Celery, settings: Settings) -> None:
    try:
        with connect(app) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0.2)
            switched = [name for name, one in settings.accounts.items() if one.dead_man_s]
            older = topology.declare(
                connection, settings.accounts, _embedded(settings), switched
            )
    except Exception as error:  # noqa: BLE001 - each transport has its own; all mean the same
        where = connection.as_uri()
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        line = f"{where}: the broker cannot be used ({why}); {advice(why)}"
        _end(line, os.EX_UNAVAILABLE)
    if older:
        text = "queues of the version before: after a node's death their lane waits a minute"
        structlog.get_logger().warning("settings", detail=text, queues=older)


def _end(line: str, code: int) -> NoReturn:
    print(f"cancel-worker: {line}", file=sys.stderr)  # noqa: T201 - the log may not exist yet
    sys.exit(code)


def _say_ready(sender: Any, **_: Any) -> None:
    collect_when_idle()
    structlog.get_logger().info("worker_ready", name=sender.hostname)
    _tell_systemd(environment().get("NOTIFY_SOCKET", ""))


def _tell_systemd(address: str) -> None:
    """Say that the worker is ready (sd_notify), so that the next one may be restarted."""
    if address:
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"READY=1", address.replace("@", "\0", 1))


def _stop_sending(**_: Any) -> None:
    """Stop the lanes, in a thread: a signal handler must not wait for their locks."""
    runtime = _runtime()
    if runtime is not None:
        threading.Thread(target=runtime.stop, name="stop", daemon=True).start()


def _close(**_: Any) -> None:
    runtime = _runtime()
    if runtime is not None:
        runtime.close()


def _runtime() -> Runtime | None:
    from celery import current_app

    return getattr(current_app, "runtime", None)
