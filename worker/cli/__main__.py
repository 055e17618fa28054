"""Lets `python -m worker.cli` do what `cancel-worker` does."""

from worker.cli.main import main

main()
