"""Celery's consumer, which looks at each message before Celery does.

Read `triage` (what to do with a message, as a value), `settle` (does it), `task_message` (a
job's message as that of its task), `dispatch` (who is next), `ownership` (who serves a lane),
then `consumer`, which brings them together.
"""
