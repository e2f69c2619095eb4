"""Mail that is made to take long, or to end the process that reads it: each as long as a mail may be."""

import base64

SIZE = (1 << 20) - 4_000  # Just below the limit, so that it is read.

_REPORT = b'Return-Path: <>\nFrom: mailer-daemon@x.example\nContent-Type: multipart/report; boundary="b"\n\n'
_DAEMON = b"Return-Path: <>\nFrom: mailer-daemon@x.example\nSubject: failure notice\n\n"
STATUS = _REPORT + b"--b\nContent-Type: message/delivery-status\n\n"


def filled(unit: bytes, start: bytes = b"", size: int = SIZE) -> bytes:
    """Return a mail of this size: a start, and one unit again and again."""
    return start + unit * ((size - len(start)) // len(unit))


def _nested(levels: int) -> bytes:
    parts = [b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (level, level) for level in range(levels)]
    return b"".join(parts)


# Units that begin what a pattern looks for, and never end it.
UNITS = [
    *(b"\n", b" ", b"\t", b"\r", b"\0", b"-", b"--", b">", b"> ", b"<", b"<a", b"<style>", b"&", b"&#", b"&amp", b"a"),
    *(
        b"a@",
        b"@",
        b"a@b ",
        b"a@b\n",
        b"<a@b>\n",
        b"=?",
        b"=?utf-8?B?",
        b"=?utf-8?Q?=?= ",
        b"=?a?q?a?=",
        b"--b\n",
        b"\n--b",
    ),
    *(
        b"--b \n",
        b"--b--",
        b": ",
        b"x:\n",
        b"550 ",
        b"550-",
        b"5.1.1 ",
        b"550 5.1.1",
        b"5.1.",
        b"said: ",
        b"<<< ",
        b"]" * 9,
    ),
    *(b"550\n", b"(#", b"'\"(", b"Message-ID: <", b"Message-ID: <a>\n", b"List-Unsubscribe: <a>\n", b"\n ", b"\n\t\n"),
    *(
        b"Received: from ",
        b"Received: a\n b\n",
        b"On a wrote",
        b"Am schrieb ",
        b"Original ",
        b"message header",
        b"- ",
        b"* = ",
    ),
    *(
        b"Mail from rcpt to ",
        b"could not ",
        b"delivery ",
        b"mail ",
        b"Re: ",
        b"[a] ",
        b"boundary",
        b"; a=",
        b'="',
        b"prvs=a",
    ),
    *(
        b"prvs=a/",
        b"\\x{",
        b"\\x{41}",
        b"\xff",
        b"\xe2\x80",
        b"\x1b$B",
        b"+AGE-",
        b"rfc822;",
        b"=",
        b"=\n",
        b"=41",
        b"QUJD",
    ),
    *(
        "é".encode("utf-16"),
        b"smtp; ",
        b"Final-Recipient: a\n",
        b"Action: failed\n",
        b"Action: failed\n\n",
        b"Status: 5.1.1\n",
    ),
]
PLACES = {
    "header": b"Subject: ",
    "from": b"Return-Path: <>\nFrom: ",
    "to": b"To: ",
    "content type": b"Content-Type: multipart/mixed; ",
    "body": _DAEMON,
    "html": _DAEMON.replace(b"\n\n", b"\nContent-Type: text/html\n\n"),
    "parts": _REPORT,
    "status": STATUS,
    "diagnostic": STATUS + b"Final-Recipient: rfc822; a@b\nAction: failed\nDiagnostic-Code: smtp; ",
    "recipient": STATUS + b"Action: failed\nFinal-Recipient: rfc822; ",
    "original": _REPORT + b"--b\nContent-Type: message/rfc822\n\n",
    "complaint": _REPORT + b"--b\nContent-Type: message/feedback-report\n\n",
}

MAILS = {
    "parts nested without end": _nested(20_000)[:SIZE],
    "parts nested as deep as boundaries allow": filled(b"a\n", _nested(59)),
    "parts nested fifteen levels deep": filled(b"a\n", _nested(15)),
    "a hundred thousand recipients": filled(b"Final-Recipient: rfc822; a@b\n\n", STATUS),
    "a million boundaries": filled(b"--b\n", _REPORT),
    "a header of a mebibyte": filled(b"a", b"Subject: "),
    "headers without end": filled(b"a: b\n"),
    "encoded words without end": filled(b" =?utf-8?B?QUJD?=", b"Subject:", 60_000),
    "an address list without end": filled(b"a@b, ", b"To: ", 60_000),
    "base64 of base64": base64.encodebytes(base64.encodebytes(b"From: a@b\n" * 50_000))[:SIZE],
    "random": (bytes((number * number * 7 + number // 3) % 256 for number in range(768)) * (SIZE // 768 + 1))[:SIZE],
    "charset punycode": filled(b"a-", _DAEMON.replace(b"\n\n", b"\nContent-Type: text/plain; charset=punycode\n\n")),
    **{
        f"charset {charset}": filled(
            unit, _DAEMON.replace(b"\n\n", f"\nContent-Type: text/plain; charset={charset}\n\n".encode())
        )
        for charset, unit in (("iso-2022-jp", b"\x1b$B"), ("utf-7", b"+AGE-"), ("utf-16", b"+a"), ("gb18030", b"\xff"))
    },
    **{
        f"{encoding} of {unit!r}": filled(
            unit, _DAEMON.replace(b"\n\n", f"\nContent-Transfer-Encoding: {encoding}\n\n".encode())
        )
        for encoding, units in (("quoted-printable", (b"=", b"=\n", b"=41")), ("base64", (b"QUJD", b"\n", b"=")))
        for unit in units
    },
    "charset idna": filled(b"xn--a.", _DAEMON.replace(b"\n\n", b"\nContent-Type: text/plain; charset=idna\n\n")),
    "charset that is compression": filled(
        b"a", _DAEMON.replace(b"\n\n", b"\nContent-Type: text/plain; charset=zip\n\n")
    ),
    "utf-16": ("From: a@b\n\n550 5.1.1\n" * 20_000).encode("utf-16")[:SIZE],
    "nothing": b"",
    "more than a mebibyte": b"a" * ((1 << 20) + 1),
}
