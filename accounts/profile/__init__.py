"""What users say of themselves: name, e-mail address and time zone, on the page that leads to all of their account."""
