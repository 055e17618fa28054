"""Runs the pure machine against a simulated clock and a simulated venue, from one integer."""
