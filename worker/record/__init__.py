"""The record in a database: every outcome by job and id, and the report on each job."""
