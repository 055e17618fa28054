"""Lanes run in child processes; this room holds both sides and the pipe between them.

Read `protocol` (commands and events), `client` (the lanes as Celery's process sees them),
`child` (carries the commands out), `engine` (the lanes of one process) and `driver` (the
threads of one lane, with `directory`, `venue_clock` and `call_log`). `idle_gc` collects
garbage in each process.
"""
