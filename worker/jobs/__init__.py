"""One job, from its message to the outcome of each id.

Read `parse` (bytes become a job), `resolve` (what its words name), `submit` (to its lane),
`run`, `report`.
"""
