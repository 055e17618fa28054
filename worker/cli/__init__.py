"""The command line `cancel-worker`: a module for each command, thin over the worker's code.

Read `main` (the commands, and what an error becomes), `output` (tables, JSON, errors), then a
command: `submit`, with `orders` (what it takes) and `broker`; or `plan`, with `simulate`.
"""
