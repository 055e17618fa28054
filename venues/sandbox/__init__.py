"""Sandbox venues: every venue of the project on one loopback port, judged by the facts.

It shares no code with the adapters it judges: paths, signatures and formats are checked here
a second time, from the venues' documentation. Start it with `python -m venues.sandbox`.

Read `book` (the orders), `limits`, `faults`, `messages` (a request and its reply), `world` (the
state of one sandbox), `venue` (what a venue is) and one of them, say `kuna`. `engine` judges a
request, `control` answers the control API, `server` has the port, `client` is for tests.
"""
