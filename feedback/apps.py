"""How Django finds the room ``feedback``, and what it adds to the pages of lower rooms."""

from django.apps import AppConfig


class FeedbackConfig(AppConfig):
    name = "feedback"
    verbose_name = "People"  # Its group in the sidebar.
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from campaigns.figures import UNSUBSCRIBED
        from campaigns.reporting import LATE_OUTCOMES
        from contacts import erasing, retention, story
        from contacts.segmenting import register
        from feedback import personal, retaining
        from feedback.conditions import FEEDBACK
        from feedback.story import feedback_of
        from feedback.unsubscribed import unsubscribed
        from feedback.unsubscribing import count_unsubscribed

        register("feedback", FEEDBACK)
        UNSUBSCRIBED.append(unsubscribed)
        LATE_OUTCOMES["Unsubscribed"] = count_unsubscribed
        story.TELLERS.append(feedback_of)
        erasing.PARTS.append(personal.PART)
        retention.RULES.extend(retaining.RULES)
