"""One signed request to a venue: a reply, surely not sent, or in doubt.

Read `transport`, then `connection` (an answer in time) and `reply_json` (what is read of it).
"""
