"""Whom a campaign is for, and how many they are."""
