"""What a newcomer runs: the demo, accounts for the sandbox, and producers in four forms."""
