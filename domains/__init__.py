"""The domains that mail is sent from: what DNS says of them, what is wrong with it, and the record that corrects it."""
