"""Whose id leaves next, with whom, and when: one lane for each account. Pure but for its state.

Read `submission` (one job's ids at its lane), `entry` (one id, and those that may share a
request), `groups` (where they wait), `holds` (every reason why a request that could leave
waits), `list_all`, `advisory` (look-ups that no step waits for), then `lane`.
"""
