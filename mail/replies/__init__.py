"""Replies of mail servers, and their meaning."""
