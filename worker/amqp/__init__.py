"""The broker: what is declared there, and connections that nothing a producer sends can break.

Read `topology` (every exchange and queue), `transport`, `publisher`, `outcome_stream`.
"""
