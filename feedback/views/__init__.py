"""The pages of feedback, and the address that mail providers post to."""
