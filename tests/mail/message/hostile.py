"""Texts that break composing where it is careless."""

TEXTS = (
    *("", " ", "\t", "\n", "two\nlines", "two\r\nlines", "\r", "a\rb", "\x00", "\x1b[0m", "\x7f", "\x85", "\u2028"),
    *(".", ".dot", "From me", "From ", "=", "=3D", "=?utf-8?q?x?=", "a=", " leading", "trailing ", "a  b"),
    *("<b>", "&amp;", "a & b", '"quoted"', "o'neil", "{{ city }}", "{% if %}", "%s", "%(x)s", "%"),
    *("caf\u00e9", "\U0001f600", "\u0645\u0631\u062d\u0628\u0627", "\u202eevil", "a\u00a0b", "\ud800", "\ufdd00\ufdd0"),
    *("x" * 75, "x" * 76, "x" * 77, "x" * 78, "x" * 79, "x" * 500, "x" * 2000, "\u00e9" * 30, "\u00e9" * 13, "& " * 20),
    *(
        "y" * 12_000,
        "name@example.com",
        "https://evil.example/",
        "a,b;c:d",
        "=\r\n",
        "--=_",
        "\\",
        "$1",
        "\0\0",
        "ann\u200blee",
    ),
)
