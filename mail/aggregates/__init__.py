"""Reports that receivers send about a whole domain: DMARC aggregate reports and TLS reports. No Django."""
