#!/bin/sh
# Prints the broker's users with their passwords, which come from the environment.
set -eu
script=""
for name in PRODUCER_PASSWORD WORKER_PASSWORD RECORD_PASSWORD OPERATOR_PASSWORD MONITOR_PASSWORD; do
  eval "value=\${$name:-}"
  case "$value" in
    "" | *[!A-Za-z0-9_-]*)
      echo "rabbitmq: $name must be set, of letters, digits, _ and - (it stands in URLs)" >&2
      exit 78 ;;
  esac
  script="$script;s/@$name@/$value/"
done
# The passwords go by standard input: a command line can be read by others.
printf '%s\n' "${script#;}" | sed -f - "$(dirname "$0")/definitions.json"
