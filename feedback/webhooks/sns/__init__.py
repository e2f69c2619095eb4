"""The two providers that post by way of SNS topics, and how SNS signs."""
