"""The pages about people in the admin."""

from contacts.admin import attributes, imports, lists, people, suppressions

__all__ = ["attributes", "imports", "lists", "people", "suppressions"]
