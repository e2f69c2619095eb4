"""The pages about people in the admin."""

from contacts.admin import attributes, consents, imports, lists, people, suppressions

__all__ = ["attributes", "consents", "imports", "lists", "people", "suppressions"]
