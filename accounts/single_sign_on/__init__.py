"""Single sign-on by OpenID Connect, and the one-time links for the day on which it fails."""
