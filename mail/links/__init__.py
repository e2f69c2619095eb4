"""Links in content, and the UTM codes they get."""
