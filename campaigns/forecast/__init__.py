"""When a campaign will be through, simulated by the rules that send it."""
