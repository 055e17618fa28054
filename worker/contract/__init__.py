"""The twin of docs/contract.md: jobs and outcomes as they cross the border of the worker.

Read `job` (what producers send), then `outcome` (what they hear of each id).
"""
