"""Reports: raw reports are read, the message of each is found, and what it says takes effect, once."""
