"""The broker: what is declared there, and connections that no producer's message can break.

Read `topology` (every exchange and queue), `publisher` (publisher confirms), `forwarder`
(messages that hold something of a producer's), `outcome_stream` (outcomes published earlier),
`advice` (what mends a broker that cannot be used).
The rest holds the libraries in check: `connection` (which transport), `transport` (bounded
waits), `decoding` (any bytes), `buffered` and `hub` (speed), `embedded` (the demo's broker).
"""
