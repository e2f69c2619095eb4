"""Who opened or clicked: reading requests, bursts, verdicts."""
