"""The Celery tasks: thin, they tell the story of a job."""
