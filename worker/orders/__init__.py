"""What is known of one order, and what follows from each reply about it. Pure.

Read `routes` (which routes an order may take), `judge` (what a reply means for each id),
`progress` (what is known of an order), `follow` (what follows from a judgement), `retry`
(when what is left goes again).
"""
