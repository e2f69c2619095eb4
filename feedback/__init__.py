"""Feedback to sent mail: unsubscribes now; bounces, complaints, opens and clicks later."""
