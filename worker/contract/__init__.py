"""The twin of docs/contract.md: jobs and outcomes as they cross the border of the worker.

Read `job` (what producers send), `outcome` (what they hear of each id), then `report`
(what they hear of a whole job).
"""
