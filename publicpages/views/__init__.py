"""The public pages, parted by what they are about."""
