"""Whose id leaves next, with whom, and when: one lane for each account. Pure but for its state.

Read `waiting` (one id, and those that may share a request), `queues`, then `lane`.
"""
