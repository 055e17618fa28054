"""One job, from its message to the outcome of each id.

Read `parse` (bytes become a job), `resolve` (what its words name), `submit` (its ids go to their
lane), `run`, `report`.
"""
