"""SQL that PostgreSQL and SQLite spell differently. Nothing here knows a table of the product."""
