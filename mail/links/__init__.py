"""Links in content: merge tags in their addresses, and their UTM parameters."""
