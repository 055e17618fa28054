"""Celery's settings: values, each with its reason; worker/app.py adds the queues."""

# -- broker ------
#: The environment (CELERY_BROKER_URL) goes before this.
broker_url = "amqp://guest:guest@127.0.0.1:5672//"

# -- pool -------------------------------------------------------------------------------
#: A task waits for its lane and for HTTP, so threads: twice the throughput of prefork.
worker_pool = "threads"
#: Threads are made when needed: some dozens for a busy lane (docs/decisions/0039).
worker_concurrency = 2048

# -- nothing is lost --------------------------------------------------------------------
#: Each job's message is acknowledged when its ids have their outcomes (worker/jobs/run.py);
#: this is for what else Celery may run.
task_acks_late = True
task_reject_on_worker_lost = True
#: By default a task that raises is acknowledged and gone; ours goes to cancel.dead.
task_acks_on_failure_or_timeout = False
#: A publish to a queue that nobody declared would be confirmed and lost.
task_create_missing_queues = False
broker_transport_options = {"confirm_publish": True}
broker_connection_retry = True
#: The start fails with one line instead (worker/app.py); a supervisor starts it again.
broker_connection_retry_on_startup = True
broker_connection_max_retries = None
#: After a node's death a queue may have no leader yet. It passes, so connect again.
broker_channel_error_retry = True
#: A connection that was cut without a word is noticed within two of these (seconds).
broker_heartbeat = 5
#: In-flight ids end by themselves within their time-out; their outcomes are true and are sent.
worker_cancel_long_running_tasks_on_connection_loss = False
#: It would set the prefetch of each queue to the size of the whole pool after a reconnect.
worker_enable_prefetch_count_reduction = False
#: The venue's quotas pace what is sent. A limit set from outside would hold kills, too.
worker_disable_rate_limits = True

# -- messages ---------------------------------------------------------------------------
task_serializer = "json"
result_serializer = "json"
event_serializer = "json"
accept_content = ["json"]
enable_utc = True
timezone = "UTC"

# -- results and events -----------------------------------------------------------------
#: Outcomes are messages on cancel.outcomes; Celery's results would say the same once more.
task_ignore_result = True
#: Off until somebody watches: Flower turns them on.
worker_send_task_events = False
task_send_sent_event = False

# -- classes of ours --------------------------------------------------------------------
worker_consumer = "worker.consumer.consumer:CancelConsumer"
imports = ("tasks.cancel", "worker.consumer.remote")

# -- log --------------------------------------------------------------------------------
#: Standard output carries the log and nothing else.
worker_redirect_stdouts = False
worker_hijack_root_logger = False
