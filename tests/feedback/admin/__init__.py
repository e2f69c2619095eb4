"""Tests of the pages of replies and unsubscribes."""
