"""Opens and clicks: answered beside Django, spooled on this machine, gathered into the database, judged later."""
