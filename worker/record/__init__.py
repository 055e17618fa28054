"""The record: every outcome in a database, one row for each job and id."""
