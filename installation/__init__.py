"""Who runs this installation: organisation, postal address, time zone, language, and where alerts go."""
