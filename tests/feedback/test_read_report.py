"""``manage.py read_report``: what a mail looks like, without a database and without an effect."""

import json
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from tests.mail.incoming.hostile import MAILS

CORPUS = Path(__file__).parents[1] / "mail" / "incoming" / "corpus"


def test_each_file_gets_a_line_also_after_one_that_cannot_be_read(tmp_path, monkeypatch):
    bounce, holiday = CORPUS / "qmail-remote.eml", CORPUS / "auto-german-null-sender.eml"
    missing = tmp_path / "missing.eml"
    monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(holiday.read_bytes())))
    said, errors = StringIO(), StringIO()

    with pytest.raises(CommandError, match=r"^2 of 4 files can't be read\.$") as raised:
        call_command("read_report", *map(str, (missing, bounce, tmp_path, "-")), stdout=said, stderr=errors)

    assert [json.loads(line) for line in said.getvalue().splitlines()] == [
        {
            "file": str(bounce),
            "kind": "hard",
            "reason": "Mail to ann@customer.example: failed (550 5.1.1 User unknown Giving up on 192.0.2.7). "
            "Rule: user-unknown.",
            "recipients": [
                {"address": "ann@customer.example", "code": 550, "enhanced": "5.1.1", "action": "failed"},
            ],
        },
        {"file": "-", "kind": "note", "reason": "A program answered automatically.", "recipients": []},
    ]
    assert f"{missing} can't be read: No such file or directory." in errors.getvalue()
    assert f"{tmp_path} can't be read: Is a directory." in errors.getvalue()
    assert raised.value.returncode == 1


def test_a_code_in_brackets_is_told_without_half_of_them(tmp_path):
    mail = (
        "From: MAILER-DAEMON@mx.example.com\nReturn-Path: <>\nSubject: failure notice\n\n"
        "Hi. This is the qmail-send program at mx.example.com.\n\n<ann@example.com>:\n%s\n\n--- Below this line\n"
    )
    texts = {
        "Sorry, no mailbox here by that name. (#5.1.1)": "5.1.1",
        "Sorry, no mailbox (#5.1.1) here (by that name)": "5.1.1 here (by that name)",
        "550 5.1.1 no such user (here)": "550 5.1.1 no such user (here)",
    }
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.eml").write_text(mail % text)
    said = StringIO()

    call_command("read_report", *map(str, sorted(tmp_path.iterdir())), stdout=said)

    for line, told in zip(said.getvalue().splitlines(), texts.values(), strict=True):
        assert json.loads(line)["reason"].startswith(f"Mail to ann@example.com: failed ({told}). Rule: ")


def test_a_mail_without_a_code_has_none_and_hostile_mail_is_unknown(tmp_path):
    (tmp_path / "hostile.eml").write_bytes(MAILS["parts nested without end"])
    (tmp_path / "large.eml").write_bytes(b"a" * (2 << 20))
    said = StringIO()

    call_command(
        "read_report",
        *map(str, (CORPUS / "barracuda-text.eml", tmp_path / "hostile.eml", tmp_path / "large.eml")),
        stdout=said,
    )

    soft, nested, large = map(json.loads, said.getvalue().splitlines())
    assert soft["recipients"] == [{"address": "ann@customer.example", "code": None, "enhanced": "", "action": "failed"}]
    assert (soft["kind"], nested["kind"], large["kind"]) == ("soft", "unknown", "unknown")
    assert nested["reason"] == "The mail names more than 60 boundaries."
    assert large["reason"] == "The mail has more than 1048576 bytes."
