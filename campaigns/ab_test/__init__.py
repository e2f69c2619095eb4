"""A/B tests: who gets which variant, how a test goes, which one wins."""
