"""Coverage-guided fuzzing with atheris, on demand; docs/testing.md says how."""
