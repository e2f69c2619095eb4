"""The rules of the providers, and the requests to their token endpoints. No database."""
