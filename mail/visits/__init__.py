"""Who opened a mail or clicked a link: a person, a machine, or nobody can tell.

Three steps, each a module of plain functions: `request` reads one request where it is answered, `bursts` looks at the
clicks around it, `rules` gives the verdict. `names` holds the words that are stored.
"""
