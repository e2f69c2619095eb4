"""A message as bytes: headers, parts, encoding, DKIM signature."""
