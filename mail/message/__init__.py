"""A message as bytes: headers, parts, encoding, signature."""
