"""Whose id leaves next, with whom, and when: one lane for each account. Pure but for its state.

Read `submission` (one job's ids at its lane), `waiting` (one id, and those that may share a
request), `queues` (where they wait), `holds` (every reason why a request that could leave
waits), `list_all`, `glance` (look-ups that no step waits for), then `lane`.
"""
