"""The pages of campaigns in the admin."""

from campaigns.admin import campaigns, content, review_rules  # noqa: F401  # They register themselves.
