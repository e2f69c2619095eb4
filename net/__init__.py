"""Guarded connections to hosts that people typed: one judge of addresses, sockets and HTTPS requests."""
