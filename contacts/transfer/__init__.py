"""Import and export of contacts, suppressions and consents as CSV."""
