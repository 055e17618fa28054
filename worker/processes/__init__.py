"""Lanes run in processes of their own; this room holds both sides and the pipe between them.

Read `protocol` (what the sides say), `driver` (the threads of one lane), `engine` (all lanes of
a process), `child` and `client`.
"""
