"""Sandbox venues: every venue of the project on one loopback port, judged by the facts.

It shares no code with the adapters it judges: paths, signatures and formats are checked here
a second time, from the venues' documentation. Start it with `python -m venues.sandbox`.
"""
