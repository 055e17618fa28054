"""The machine between the queue and the venues: one module per step of a job's way."""
