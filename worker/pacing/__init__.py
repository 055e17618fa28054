"""How often a venue may be asked, proven from the responses. Pure over an injected clock.

Read `pace` (one quota), then `account` (the quotas of one account: drawn together, or none is).
"""
