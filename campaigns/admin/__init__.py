"""Admin pages of campaigns."""

from campaigns.admin import campaigns, content, review_rules  # noqa: F401  # They register themselves.
