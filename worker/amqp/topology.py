"""Every exchange and queue of the product, with its arguments and the reason for each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from amqp.exceptions import PreconditionFailed
from kombu import Connection, Exchange, Queue
from kombu.transport import native_delayed_delivery
from kombu.utils.url import parse_url

from venues.words import Priority

JOBS = "cancel.jobs"
OUTCOMES = "cancel.outcomes"
REPORTS = "cancel.reports"
RECEIPTS = "cancel.receipts"
PAUSES = "cancel.pauses"
REJECTED = "cancel.rejected"
UNROUTED = "cancel.unrouted"
DEAD = "cancel.dead"
RECORD = "cancel.record"

#: The first word of the key of a heartbeat, where a job's has its priority.
ALIVE = "alive"

#: A message whose worker died this often is poison and goes to `cancel.dead`.
DELIVERY_LIMIT = 20

#: What an account's outcome stream keeps, in bytes: some 40,000 outcomes, several times what
#: the longest job has. The broker drops whole segments.
STREAM_BYTES = 32_000_000
STREAM_SEGMENT_BYTES = 8_000_000

#: What an account's heartbeat stream keeps, in bytes: some 15,000 heartbeats, many times what
#: comes while a worker is restarted. The broker drops whole segments.
HEARTBEAT_BYTES = 4_000_000
HEARTBEAT_SEGMENT_BYTES = 1_000_000
#: What the stream of pauses keeps, in bytes: no more than a worker reads within some seconds at
#: its start. Whole segments are dropped, and `worker.jobs.pauses` renews a word long before.
PAUSES_BYTES = 2_000_000
PAUSES_SEGMENT_BYTES = 500_000

#: For queues whose messages may be redelivered without a limit.
MANY_DELIVERIES = 1_000_000

# Topic where direct would do: Celery's delayed delivery returns only to topic exchanges.
OUTCOMES_EXCHANGE = Exchange(OUTCOMES, type="topic", durable=True)
REPORTS_EXCHANGE = Exchange(REPORTS, type="topic", durable=True)
RECEIPTS_EXCHANGE = Exchange(RECEIPTS, type="topic", durable=True)
PAUSES_EXCHANGE = Exchange(PAUSES, type="fanout", durable=True)
REJECTED_EXCHANGE = Exchange(REJECTED, type="fanout", durable=True)
UNROUTED_EXCHANGE = Exchange(UNROUTED, type="fanout", durable=True)
DEAD_EXCHANGE = Exchange(DEAD, type="fanout", durable=True)

_QUORUM = {"x-queue-type": "quorum"}
_DURABLE_JOBS = {
    **_QUORUM,
    "x-delivery-limit": DELIVERY_LIMIT,
    "x-dead-letter-exchange": DEAD,
    # The default loses a message when the broker dies between two queues.
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",
}
#: Where Celery's delayed messages come out again.
_DELAYED = native_delayed_delivery.CELERY_DELAYED_DELIVERY_EXCHANGE
_DISCONNECTED = "x-consumer-disconnected-timeout"
_ONE_OWNER = {
    "x-single-active-consumer": True,
    # So long (ms) RabbitMQ 4.3 waits for a consumer whose node died before it asks the next
    # one; a minute by default. Older ones go on at once, and do not know the word.
    _DISCONNECTED: 1000,
}
#: How long (ms) a worker may hold a message. RabbitMQ 4.3 takes a consumer's word for it, also
#: over a policy; before, its `consumer_timeout` alone counts, whose default is as long as this.
_MAY_HOLD = {"x-consumer-timeout": 1_800_000}


def jobs_exchange(embedded: bool) -> Exchange:
    """Return the exchange of jobs; only a real broker knows alternate exchanges."""
    arguments = None if embedded else {"alternate-exchange": UNROUTED}
    return Exchange(JOBS, type="topic", durable=True, arguments=arguments)


def lane_queue_name(account: str, priority: Priority) -> str:
    """Return the name of the queue that holds an account's jobs of one priority."""
    return f"cancel.{account}.{priority}"


def owner_queue_name(account: str) -> str:
    """Return the name of the queue that holds the account's owner token."""
    return f"cancel.{account}.owner"


def outcome_stream_name(account: str) -> str:
    """Return the name of the stream that keeps an account's newest outcomes."""
    return f"cancel.{account}.told"


def heartbeat_stream_name(account: str) -> str:
    """Return the name of the stream that keeps an account's newest heartbeats."""
    return f"cancel.{account}.{ALIVE}"


def heartbeat_key(account: str) -> str:
    """Return the routing key of a heartbeat for an account."""
    return f"{ALIVE}.{account}"


def routing_key(priority: Priority, account: str) -> str:
    """Return the routing key of a job."""
    return f"{priority}.{account}"


def lane_queues(account: str, embedded: bool, *, declared: bool = False) -> list[Queue]:
    """Return an account's two job queues, kill first."""
    return [
        lane_queue(account, priority, embedded, declared=declared)
        for priority in (Priority.KILL, Priority.ROUTINE)
    ]


def lane_queue(
    account: str, priority: Priority, embedded: bool, *, declared: bool = False
) -> Queue:
    """Return a job queue.

    `declared`: it stands, perhaps as the version before declared it, and is not again.
    """
    return Queue(
        lane_queue_name(account, priority),
        jobs_exchange(embedded),
        routing_key=routing_key(priority, account),
        queue_arguments=_arguments(_DURABLE_JOBS | _ONE_OWNER, embedded),
        consumer_arguments=_arguments(_MAY_HOLD, embedded),
        no_declare=declared and not embedded,
    )


def owner_queue(account: str) -> Queue:
    """Return the queue of an account's owner token."""
    return Queue(
        owner_queue_name(account),
        exchange="",
        queue_arguments=_QUORUM | _ONE_OWNER,
        consumer_arguments=_MAY_HOLD,
    )


def consumed_accounts(connection: Connection, accounts: Iterable[str]) -> set[str]:
    """Return the accounts whose owner queue has a consumer now."""
    with connection.channel() as channel:
        queues = {name: owner_queue(name)(channel) for name in accounts}
        found = {name: queue.queue_declare(passive=True) for name, queue in queues.items()}
    return {name for name, queue in found.items() if queue.consumer_count}


def outcome_stream(account: str) -> Queue:
    """Return the stream that keeps an account's newest outcomes."""
    return Queue(
        outcome_stream_name(account),
        OUTCOMES_EXCHANGE,
        routing_key=f"*.{account}.*",
        queue_arguments=_stream(STREAM_BYTES, STREAM_SEGMENT_BYTES),
    )


def heartbeat_stream(account: str) -> Queue:
    """Return the stream of the heartbeats for an account that has a dead man's switch.

    A stream, as the last heartbeat of each producer has to outlive the worker that read it.
    """
    return Queue(
        heartbeat_stream_name(account),
        jobs_exchange(embedded=False),
        routing_key=heartbeat_key(account),
        queue_arguments=_stream(HEARTBEAT_BYTES, HEARTBEAT_SEGMENT_BYTES),
    )


def pause_stream() -> Queue:
    """Return the stream that keeps which accounts somebody paused."""
    arguments = _stream(PAUSES_BYTES, PAUSES_SEGMENT_BYTES)
    return Queue(PAUSES, PAUSES_EXCHANGE, queue_arguments=arguments)


def _stream(most_bytes: int, segment_bytes: int) -> dict[str, Any]:
    return {
        "x-queue-type": "stream",
        "x-max-length-bytes": most_bytes,
        "x-stream-max-segment-size-bytes": segment_bytes,
    }


def unrouted_queue(embedded: bool) -> Queue:
    """Return the queue of jobs that no lane's key matched."""
    if not embedded:
        return Queue(
            UNROUTED,
            UNROUTED_EXCHANGE,
            queue_arguments=_DURABLE_JOBS,
            consumer_arguments=_MAY_HOLD,
        )
    exchange = jobs_exchange(embedded)
    return Queue(UNROUTED, exchange, routing_key=Priority.ROUTINE, bindings=())


def dead_queue() -> Queue:
    """Return the queue of poison messages: jobs whose workers died too often.

    A job whose workers die here, too, goes to `cancel.rejected` without an outcome.
    """
    arguments = _DURABLE_JOBS | {"x-dead-letter-exchange": REJECTED}
    return Queue(DEAD, DEAD_EXCHANGE, queue_arguments=arguments, consumer_arguments=_MAY_HOLD)


def rejected_queue(embedded: bool) -> Queue:
    """Return the queue of messages that are no jobs; people empty it."""
    # People look at a message by returning it; RabbitMQ 4 by default drops it after 20 times.
    arguments = _QUORUM | {"x-delivery-limit": MANY_DELIVERIES}
    return Queue(REJECTED, REJECTED_EXCHANGE, queue_arguments=_arguments(arguments, embedded))


def common_queues(embedded: bool) -> list[Queue]:
    """Return the queues that every worker serves, whatever lanes it owns."""
    return [unrouted_queue(embedded), *([] if embedded else [dead_queue()])]


def declare(
    connection: Connection,
    accounts: Iterable[str],
    embedded: bool,
    with_heartbeats: Iterable[str] = (),
) -> list[str]:
    """Declare all exchanges and queues; the broker keeps those that have these arguments.

    `with_heartbeats` are the accounts that have a dead man's switch.
    Return the names of those that stand there as the version before declared them.
    """
    with connection.channel() as channel:
        outwards = OUTCOMES_EXCHANGE, REPORTS_EXCHANGE, RECEIPTS_EXCHANGE
        for exchange in (*outwards, UNROUTED_EXCHANGE, jobs_exchange(embedded)):
            exchange(channel).declare()
        queues = _all_queues(accounts, embedded)
        queues += [heartbeat_stream(name) for name in with_heartbeats]
        found = _declare_queues(connection, queues)
        if embedded:
            queue = unrouted_queue(embedded)(channel)
            queue.bind_to(JOBS, routing_key=str(Priority.KILL))
    return found


def _declare_queues(connection: Connection, queues: Iterable[Queue]) -> list[str]:
    channel, older = connection.channel(), []
    for queue in queues:
        try:
            queue(channel).declare()
        except PreconditionFailed:  # which closed the channel
            if _DISCONNECTED not in (queue.queue_arguments or {}):
                raise
            channel = connection.channel()
            as_before(queue)(channel).declare()
            older.append(queue.name)
    channel.close()
    return older


def as_before(queue: Queue) -> Queue:
    """Return a lane's queue as the version before declared it; RabbitMQ 4.3 compares that."""
    arguments = {k: v for k, v in queue.queue_arguments.items() if k != _DISCONNECTED}
    return Queue(
        queue.name, queue.exchange, routing_key=queue.routing_key, queue_arguments=arguments
    )


def declare_delays(connection: Connection, accounts: Iterable[str]) -> None:
    """Declare Celery's delayed delivery, and the bindings that lead back from it."""
    native_delayed_delivery.declare_native_delayed_delivery_exchanges_and_queues(
        connection, "quorum"
    )
    with connection.channel() as channel:
        for queue in (queue for name in accounts for queue in lane_queues(name, False)):
            # As Celery has it: the digits of the delay still stand before the key.
            key = f"#.{queue.routing_key}"
            jobs_exchange(False)(channel).bind_to(_DELAYED, routing_key=key)
            queue(channel).bind_to(JOBS, routing_key=key)


def _all_queues(accounts: Iterable[str], embedded: bool) -> list[Queue]:
    queues = [rejected_queue(embedded), *common_queues(embedded)]
    queues += [] if embedded else [pause_stream()]
    for account in accounts:
        queues += lane_queues(account, embedded)
        queues += [] if embedded else [owner_queue(account), outcome_stream(account)]
    return queues


def _arguments(arguments: dict[str, Any], embedded: bool) -> dict[str, Any]:
    return {} if embedded else arguments


def user_of(broker_url: str) -> str:
    """Return the user as whom a worker logs in; "" where that is not one alone, or no user."""
    if is_embedded(broker_url):
        return ""
    names = {parse_url(url)["userid"] or "guest" for url in broker_url.split(";")}
    return str(names.pop()) if len(names) == 1 else ""


def is_embedded(broker_url: str) -> bool:
    """Say whether the broker is kombu's own (a folder or memory), not RabbitMQ."""
    return not broker_url.startswith(("amqp", "pyamqp"))
