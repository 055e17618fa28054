"""One signed request to a venue: a reply, surely not sent, or in doubt.

Read `transport` first, with its table of exceptions; then `connection` (replies that end in
time, requests in one write) and `reply_json` (which parts of a long reply become objects).
"""
