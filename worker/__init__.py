"""The machine between the queue and the venues: a room for each step of a job's way.

Down: `consumer` reads a message, `jobs` runs it, `processes` carries its ids to the `lane`,
which asks `orders` what follows and `pacing` when; `http` sends. The way up is the same.
"""
