"""The command line `cancel-worker`: a module for each command, thin over the worker's code."""
