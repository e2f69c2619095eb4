"""Stand-ins for unknown names: in which mail they appear, and where they never do."""

import pytest

from contacts.models import Contact
from delivery.operators.send_test import Content
from tests.fields.bench import TEXT, Bench

FRIEND = {"unknown_first_name": "Friend", "unknown_last_name": "O'Neil & <b>"}
CONTENT = {"subject": "For {{ first_name }}", "html": "<p>{{ full_name }}</p>", "text": "{{ full_name }}"}


@pytest.mark.parametrize(
    ("first", "last", "greeting"),
    [
        ("", "", "Dear Friend Customer, known as Friend Customer."),
        ("   ", "", "Dear Friend Customer, known as Friend Customer."),
        ("", "Lee", "Dear Friend Lee, known as Lee."),
        ("Ann", "", "Dear Ann Customer, known as Ann."),
        ("Ann", "Lee", "Dear Ann Lee, known as Ann Lee."),
    ],
)
def test_a_real_name_always_wins(bench: Bench, first: str, last: str, greeting: str) -> None:
    bench.save(unknown_first_name="Friend", unknown_last_name="Customer")

    mail = bench.first(contact={"first_name": first, "last_name": last})

    assert mail.part("plain").startswith(greeting)


def test_every_class_of_mail_to_people_has_them(bench: Bench) -> None:
    bench.save(**FRIEND)

    campaign = bench.first(**CONTENT)
    test = bench.tested(Content(name="Winter", **CONTENT))
    (single,) = bench.single("bob@customer.example", **CONTENT)

    for mail in (campaign, test, single):
        assert str(mail.headers["Subject"]).endswith("For Friend")
        assert mail.part("plain").startswith("Friend O'Neil & <b>")
        assert "<p>Friend O&#39;Neil &amp; &lt;b&gt;</p>" in mail.part("html")


def test_they_are_not_in_the_address_not_stored_and_a_default_in_the_tag_wins(bench: Bench) -> None:
    bench.save(**FRIEND)

    mail = bench.first(subject="Hello", text='{{ first_name | default: "there" }}{% if last_name %}!{% endif %}')

    assert str(mail.headers["To"]) == "ann@customer.example"
    assert "Friend" not in mail.content.decode().partition("MIME-Version")[0]
    assert mail.part("plain").startswith("there")
    person = Contact.objects.get()
    assert (person.first_name, person.last_name) == ("", "")


def test_a_copy_is_addressed_as_its_original(bench: Bench) -> None:
    bench.save(**FRIEND, mail_cc="boss@shop.example")

    arrived = bench.campaign(text=TEXT, contact={"first_name": "Ann"})

    assert {str(mail.headers["To"]) for mail in arrived} == {"ann@customer.example"}
    assert {mail.part("plain").partition(" known")[0] for mail in arrived} == {"Dear Ann O'Neil & <b>,"}
