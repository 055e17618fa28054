"""Lets `python -m cli` do what `cancel-worker` does."""

from cli.main import main

main()
