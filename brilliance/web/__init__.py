"""The shell of the admin: dashboard, navigation, middleware, lockout."""
