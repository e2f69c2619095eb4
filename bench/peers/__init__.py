"""What Brilliance is compared with, each in a program of its own that prints one line of JSON."""
