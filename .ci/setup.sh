#!/usr/bin/env bash
# Makes .venv with the locked packages and this project; run by make.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*" >&2; }

# Whether a Python, which has a module where one is named, is new enough.
fits() {
  command -v "$1" >/dev/null &&
    "$1" -c "import sys${2:+, $2}; sys.exit(sys.version_info < (3, 11))" 2>/dev/null
}

find_python() {
  local name
  # A distribution builds its Python with profiles of use; one that was built at home without them
  # (pyenv's way, if not told otherwise) takes a third longer for the same work.
  if fits /usr/bin/python3 ensurepip; then
    printf '%s' /usr/bin/python3
    return
  fi
  for name in python3.13 python3.12 python3.11 python3; do
    if fits "$name"; then
      printf '%s' "$name"
      return
    fi
  done
  say "setup: no Python 3.11 or newer found; install it (Debian: apt-get install python3) and run make again"
  exit 1
}

python=$(find_python)
if [ ! -x .venv/bin/python ]; then
  if ! "$python" -m venv .venv >/dev/null 2>&1; then
    rm -rf .venv
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
      say "setup: installing python3-venv"
      apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null
      "$python" -m venv .venv
    else
      say "setup: $python cannot make a virtual environment; install python3-venv and run make again"
      exit 1
    fi
  fi
fi
say "setup: installing the locked packages into .venv"
# What is locked fits together; that ccxt pins other versions is known (.ci/peers.txt).
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-warn-conflicts -r requirements.lock
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r .ci/peers.txt
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
touch .venv/.complete
