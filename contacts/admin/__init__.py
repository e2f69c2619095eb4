"""The pages about people in the admin."""

from contacts.admin import imports, lists, people, suppressions

__all__ = ["imports", "lists", "people", "suppressions"]
