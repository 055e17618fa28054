"""The twin of docs/contract.md: jobs and outcomes as they cross the border of the worker."""
