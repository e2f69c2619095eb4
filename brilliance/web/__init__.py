"""The frame of the admin: dashboard, navigation, middleware, lockout."""
