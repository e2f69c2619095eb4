"""Admin pages about people."""

from contacts.admin import attributes, consents, imports, lists, people, segments, suppressions

__all__ = ["attributes", "consents", "imports", "lists", "people", "segments", "suppressions"]
