"""Files in and out: imports and exports of contacts, suppressions and consents."""
