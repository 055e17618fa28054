"""Celery's consumer, which looks at each message before Celery does.

Read `consumer`, then `task_message` (a job's message as Celery's), `dispatch` (who is next).
"""
