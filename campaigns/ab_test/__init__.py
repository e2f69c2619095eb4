"""A/B tests: variants, the split of the audience, the run of a test, the comparison."""
