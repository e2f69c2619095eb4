"""What receivers report of our domains: DMARC and TLS reports, counted once each, and the figures of their page."""
