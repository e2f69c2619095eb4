"""The DKIM keys of domains: made, published, checked in DNS, started, rotated and revoked."""
