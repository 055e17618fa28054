"""What a user would write instead, for comparison: a task per id, and a loop over chunks."""
