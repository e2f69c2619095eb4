"""The SMTP client: connection, pipeline, diagnostics."""
