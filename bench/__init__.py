"""How fast Brilliance is, side by side with what its users could pick instead: ``make bench``."""
