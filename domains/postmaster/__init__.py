"""Gmail Postmaster Tools: what Google's API says of a domain, asked by an errand and shown on the page of reports."""
