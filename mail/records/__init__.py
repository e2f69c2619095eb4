"""The DNS records that senders publish, and what is wrong with them: SPF, DKIM, DMARC, MX, MTA-STS, TLS-RPT, BIMI.

Rules only. A rule gets its DNS answers from a function that the caller passes in, and returns a finding.
"""
