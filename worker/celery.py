"""Where `celery -A worker` looks for the application."""

from worker.app import make_app

app = make_app()
