"""The bench: time to cancel, against the bound of the venue's limits and against peers."""
