"""The dead man's switch: a producer that falls silent has its account's orders canceled.

Read `watch` (who had begun, and what counts as silence; pure), `kill` (the job that follows,
and which venues cannot do it), `timer` (what the venue's own timer reaches), then `reader`
(heartbeats off the broker, in its own thread).
"""
