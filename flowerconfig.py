"""Flower's settings; `celery -A worker flower` reads this file from the folder it starts in.

They stand in `worker/flower.py`, as they hold without this file, too. What is set below the
last line goes before them.
"""

from tornado.options import options

from worker.flower import settings
from worker.settings import environment

globals().update(settings(options, environment()))
