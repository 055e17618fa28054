# Source this in every terminal of the README's tour: it only sets variables.
export PATH="$PWD/.venv/bin:$PATH"
export CANCEL_CONFIG=examples/sandbox/desks.toml
export DESK1_KEY=sandbox-key-1 DESK1_SECRET=sandbox-secret-1
export DESK2_KEY=sandbox-key-2 DESK2_SECRET=sandbox-secret-2
export DESK3_KEY=sandbox-key-3 DESK3_SECRET=sandbox-secret-3
# The embedded broker keeps messages in a folder; set an amqp:// address first for RabbitMQ.
export CELERY_BROKER_URL="${CELERY_BROKER_URL:-filesystem://$PWD/.run/broker}"
export CANCEL_RECORD_URL=sqlite:///.run/record.sqlite3
mkdir -p .run
