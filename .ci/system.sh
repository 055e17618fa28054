#!/usr/bin/env bash
# Installs what the tests need beside Python: a broker, a browser, a database, Node for one example,
# and what reads the files in deploy/.
set -euo pipefail

say() { printf '%s\n' "$*" >&2; }

declare -A found_at=(
  [rabbitmq-server]=/usr/lib/rabbitmq/bin/rabbitmq-server
  [chromium]=/usr/bin/chromium
  [chromium-driver]=/usr/bin/chromedriver
  [postgresql]="/usr/lib/postgresql/*/bin/initdb"
  [prometheus]=/usr/bin/promtool
  [docker-compose]=/usr/bin/docker-compose
)
missing=()
for package in "${!found_at[@]}"; do
  compgen -G "${found_at[$package]}" >/dev/null || missing+=("$package")
done
# Node may have come from elsewhere.
for command in node npm; do
  command -v "$command" >/dev/null || missing+=("${command/%node/nodejs}")
done
[ "${#missing[@]}" = 0 ] && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  say "system: installing ${missing[*]}"
  # A package must not start a server of its own: the tests start theirs, on loopback.
  policy=/usr/sbin/policy-rc.d
  made=no
  if [ ! -e "$policy" ]; then printf '#!/bin/sh\nexit 101\n' >"$policy"; chmod +x "$policy"; made=yes; fi
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  if [ "$made" = yes ]; then rm -f "$policy"; fi
  exit 0
fi
say "system: missing: ${missing[*]} (Debian, Ubuntu: sudo apt-get install ${missing[*]})"
if [ "${CI:-}" = true ]; then exit 1; fi
say "system: the tests that need them are skipped"
