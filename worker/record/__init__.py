"""The record in a database: who asked for each job, every outcome, and what came of the job."""
