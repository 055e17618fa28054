"""A hunt over small random worlds: venues that lag, hide, rename and shrink.

The fakes of the venues are written from the venues' own pages, not from the files of
`venues/`: what the product believes of a venue meets what somebody else believes of it. Read
`plan` (what a world is), `book` (what its orders really do), `fake` and the venues
(`coinw`, `ztdx`, `kuna`), `play` (the worker in simulated time), `law` (what it may not tell),
`shrink`, then `draw` (which worlds there are).
"""
