"""Our users: how they sign in, and their second factors. The pages of a user's role are the other rooms' subject."""
