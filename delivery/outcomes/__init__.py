"""What an answer means, and what follows from it for the message, the server and the mailing."""
