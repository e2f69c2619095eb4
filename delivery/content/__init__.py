"""The composition of one message: content, signature, files, tokens, Message-ID and return path."""
