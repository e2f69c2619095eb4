"""Our users: signing in, second factors and sessions. The pages of a user's role are the other rooms' subject."""
