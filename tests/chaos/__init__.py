"""Faults at random, from one seed, and a checker that knows only the outside."""
