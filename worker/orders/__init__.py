"""What is known of one order, and what follows from each reply about it. Pure.

Read `plan` (which routes an order may take), `judge` (what a reply means for each id),
`follow` (what follows from that), `retry` (when what is left goes again).
"""
