"""SMTP to a server: connection, pipeline, diagnostics."""
