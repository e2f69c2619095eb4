"""Addresses, mailboxes and hosts: what is accepted, what is refused with which words, and what is equal."""

import email.policy
import re
import unicodedata
from email import message_from_string

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import example, given
from hypothesis import strategies as st

from mail import addresses
from mail.addresses import AddressInvalid, Mailbox
from words.texts import TRANSLATOR, translated

LONG = "a" * 64 + "@" + ".".join(["b" * 63, "c" * 63, "d" * 57, "com"])  # 64 + 1 + 189 = 254 octets.


@pytest.mark.parametrize(
    "address",
    [
        "ann@example.com",
        "Ann.Lee+news@Mail.Example.COM",
        "-ann@example.com",
        "|cmd@example.com",
        "!#$%&'*+/=?^_`{|}~-@example.com",
        "a@b.co",
        "ann@example.test",
        "ann@shop.example",
        "ann@xn--bcher-kva.example",
        "ann@bücher.example",
        "ännä@bücher.example",
        "用户@例子.广告",
        "раypal@example.com",
        '"a b"@example.com',
        '"a@b"@example.com',
        r'"a\"b"@example.com',
        '"..a"@example.com',
        "a" * 64 + "@example.com",
        LONG,
    ],
)
def test_an_address_is_accepted_as_typed(address):
    assert addresses.check_address(address) == address


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("", "The address is empty. Write it as name@example.com."),
        ("ann", "ann has no @ sign. Write it as name@example.com."),
        ("ann＠example.com", "ann＠example.com has a wide @ sign. Type a plain @."),
        ("ann@@example.com", "ann@@example.com has two @ signs. Write it as name@example.com."),
        ("a@b@c.com", "a@b@c.com has two @ signs. Write it as name@example.com."),
        ("a@b@c@d.com", "a@b@c@d.com has 3 @ signs. Write it as name@example.com."),
        ("@example.com", "@example.com has nothing before the @. Write it as name@example.com."),
        ("ann@", "ann@ has nothing after the @. Write it as name@example.com."),
        ("ann@localhost", "ann@localhost has no dot after the @. Write the whole domain, as in name@example.com."),
        ("ann@[192.0.2.1]", "ann@[192.0.2.1] names a computer by number. Write a domain, as in name@example.com."),
        ("ann@192.0.2.1", "ann@192.0.2.1 ends in a number. Write the whole domain, as in name@example.com."),
        ("ann lee@example.com", "ann lee@example.com contains a space. Remove it."),
        ("ann(lee)@example.com", "ann(lee)@example.com contains a “(”, which addresses do not have. Remove it."),
        ("mailto:ann@example.com", "mailto:ann@example.com contains a “:”, which addresses do not have. Remove it."),
        ("<ann@example.com>", "<ann@example.com> contains a “<”, which addresses do not have. Remove it."),
        ("ann..lee@example.com", "ann..lee@example.com has two dots in a row. Remove one."),
        ("ann@example..com", "ann@example..com has two dots in a row. Remove one."),
        (".ann@example.com", ".ann@example.com cannot be used: An email address cannot start with a period."),
        ('"ann@example.com', '"ann@example.com has a quotation mark too many or too few. Write name@example.com.'),
        ("ann@example.com\r\nBcc: x@a.com", "ann@example.com��Bcc: x@a.com contains a line end. Remove it."),
        ("ann@example.com\n", "ann@example.com� contains a line end. Remove it."),
        ("ann\x00@example.com", "ann�@example.com contains an invisible character (U+0000). Remove it."),
        ("ann\u202e@example.com", "ann�@example.com contains an invisible character (U+202E). Remove it."),
        ("ann\u200b@example.com", "ann�@example.com contains an invisible character (U+200B). Remove it."),
        ("ann\u200d@example.com", "ann�@example.com contains an invisible character (U+200D). Remove it."),
        ("ann\ud800@example.com", "ann�@example.com contains an invisible character (U+D800). Remove it."),
    ],
)  # fmt: skip
def test_a_refusal_says_what_to_do(typed, sentence):
    with pytest.raises(AddressInvalid) as refusal:
        addresses.check_address(typed)

    assert str(refusal.value) == sentence


@pytest.mark.parametrize(
    "address",
    [
        "a" * 65 + "@example.com",
        "é" * 33 + "@example.com",
        LONG.replace("d.com", "dd.com"),
        "a" * 64 + "@" + ".".join(["b" * 54 + "ü"] * 3) + ".com",  # 239 octets as typed, more than 254 as A-labels.
        "ann@" + "b" * 64 + ".com",
        "ann@" + "bücher" * 10 + ".com",
        "ann@example.com.",
        "ann@-example.com",
        "ann@example-.com",
        "ann@exa_mple.com",
        "ann@exam!ple.com",
        "ann@example.c1",
        "ann@xn--zzzzzz--.com",
        "ann@exa mple.com",
        "ann@exa\u00a0mple.com",
        "ann@❤.ws",
        "a\\b@example.com",
        '"a"b"@example.com',
        '"a\\"@example.com',
        '""@example.com',
        "x" * 10_000,
        "x" * 10_000 + "@example.com",
        "x@" + "y" * 10_000 + ".com",
    ],
)
def test_what_rfc_5321_and_its_like_forbid_is_refused(address):
    with pytest.raises(AddressInvalid, match=r"^[^\r\n]{1,250}\.$"):
        addresses.check_address(address)


def test_blanks_around_an_address_are_trimmed_and_letters_composed():
    assert addresses.check_address(" \tann@example.com\u00a0") == "ann@example.com"
    assert addresses.check_address("a\u0308nn@example.com") == "änn@example.com"


nearly = st.text(st.sampled_from("ab0.-@_+!\"' \\xnXN"), max_size=16)
likely = st.builds(
    "{}@{}".format,
    st.text(st.sampled_from("abZ09.-+_!#"), min_size=1, max_size=70),
    st.lists(st.text(st.sampled_from("abZ09-"), min_size=1, max_size=65), min_size=1, max_size=5).map(".".join),
)


@given(nearly | likely | st.emails() | st.text(max_size=20))
@example("ann@example.com\n")
@example("a@xn--a.com")
@example("a@b.XN--a.com")
def test_the_short_way_and_the_long_way_agree(text):
    try:
        slowly = addresses._check_any_address(text)
    except AddressInvalid as error:
        with pytest.raises(AddressInvalid, match=re.escape(str(error))):
            addresses.check_address(text)
    else:
        assert addresses.check_address(text) == slowly


@given(likely | st.emails())
def test_whatever_is_accepted_a_second_judge_accepts(text):
    try:
        address = addresses.check_address(text)
    except AddressInvalid:
        return
    if addresses.is_reserved(addresses.domain_of(address)) or re.search(r"[@.]..--", address):
        return  # The second judge has stricter rules for these.

    validate_email(address, check_deliverability=False, allow_quoted_local=True, strict=True)


@given(st.emails())
def test_whatever_a_second_judge_accepts_is_accepted(text):
    try:
        validate_email(text, check_deliverability=False, allow_quoted_local=True, strict=True)
    except EmailNotValidError:
        return

    assert addresses.check_address(text) == text


# Keys


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ann@example.com", "Ann@EXAMPLE.com"),
        ("ann@bücher.example", "ANN@xn--bcher-kva.example"),
        ("ann@bücher.example", "ann@BU\u0308CHER.example"),
        ("ÄNN@example.com", "a\u0308nn@example.com"),
        ('"ann"@example.com', "ann@example.com"),
        ("ann@exa。com", "ann@exa.com"),
        (" ann@example.com", "ann@example.com"),
    ],
)
def test_two_spellings_of_one_address_meet(one, other):
    assert addresses.fold(one) == addresses.fold(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ann@example.com", "anne@example.com"),
        ("a.nn@example.com", "ann@example.com"),
        ("ann+news@example.com", "ann@example.com"),
        ("straße@example.com", "strasse@example.com"),
        ("ann@straße.example", "ann@strasse.example"),
        ("paypal@example.com", "раypal@example.com"),
        ("ann@paypal.com", "ann@раypal.com"),
        ("ａnn@example.com", "ann@example.com"),
    ],
)
def test_addresses_that_only_look_alike_stay_apart(one, other):
    assert addresses.fold(one) != addresses.fold(other)


@given(nearly | likely | st.emails() | st.text(max_size=30))
def test_folding_never_fails_and_twice_is_once(text):
    key = addresses.fold(text)

    assert addresses.fold(key) == key


@given(st.emails() | likely)
def test_a_key_fits_its_column(text):
    try:
        address = addresses.check_address(text)
    except AddressInvalid:
        return

    assert len(addresses.fold(address)) <= 320
    assert addresses.domain_of(address).isascii()
    assert addresses.fold(addresses.ascii_address(address)) == addresses.fold(address)


def test_the_envelope_form_has_an_a_label_and_the_local_part_as_it_is():
    assert addresses.ascii_address("Ännä@Bücher.example") == "Ännä@xn--bcher-kva.example"
    assert addresses.domain_of("Ännä@Bücher.example") == "xn--bcher-kva.example"


@pytest.mark.parametrize(
    ("address", "needs"),
    [("ann@example.com", False), ("ann@bücher.example", False), ("änn@example.com", True)],
)
def test_only_a_local_part_needs_smtputf8(address, needs):
    assert addresses.needs_smtputf8(address) is needs


@pytest.mark.parametrize(
    ("domain", "is_reserved"),
    [
        *((name, True) for name in ("test", "a.test", "x.invalid", "localhost", "a.EXAMPLE", "a.example.org.")),
        *((name, False) for name in ("example.de", "myexample.com", "test.com", "contest", "xn--bcher-kva.de")),
    ],
)  # fmt: skip
def test_reserved_domains_are_known(domain, is_reserved):
    assert addresses.is_reserved(domain) is is_reserved


@pytest.mark.parametrize(
    ("domain", "mixes"),
    [("раypal.com", True), ("xn--ypal-43d9g.com", True), ("пример.com", False), ("bücher.de", False)],
)  # fmt: skip
def test_a_label_of_two_scripts_is_noticed(domain, mixes):
    assert addresses.mixes_scripts(domain) is mixes


# Mailboxes


@pytest.mark.parametrize(
    ("typed", "mailbox"),
    [
        ("ann@example.com", Mailbox("", "ann@example.com")),
        ("<ann@example.com>", Mailbox("", "ann@example.com")),
        ("Ann Lee <ann@example.com>", Mailbox("Ann Lee", "ann@example.com")),
        ("  Ann   Lee<ann@example.com> ", Mailbox("Ann Lee", "ann@example.com")),
        ('"Lee, Ann" <ann@example.com>', Mailbox("Lee, Ann", "ann@example.com")),
        ("Lee, Ann <ann@example.com>", Mailbox("Lee, Ann", "ann@example.com")),
        (r'"Ann \"Ace\" Lee" <ann@example.com>', Mailbox('Ann "Ace" Lee', "ann@example.com")),
        ("Ann (Sales) <ann@example.com>", Mailbox("Ann (Sales)", "ann@example.com")),
        ("Zo\u0308e 🙂 <zoe@bücher.example>", Mailbox("Zöe 🙂", "zoe@bücher.example")),
        ("می\u200cخواهم <ann@example.com>", Mailbox("می\u200cخواهم", "ann@example.com")),
        ('"ann@example.com" <bob@example.com>', Mailbox("ann@example.com", "bob@example.com")),
        ('"" <ann@example.com>', Mailbox("", "ann@example.com")),
    ],
)
def test_a_mailbox_is_read_and_written(typed, mailbox):
    assert addresses.parse_mailbox(typed) == mailbox
    assert addresses.parse_mailbox(str(mailbox)) == mailbox


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        (" ", "The address is empty. Write it as name@example.com."),
        ("Ann <>", "The address is empty. Write it as name@example.com."),
        ("Ann <ann>", "ann has no @ sign. Write it as name@example.com."),
        ("A <a@b.co", "A <a@b.co has a bracket without its partner. Write it as Name <name@example.com>."),
        ("A a@b.co>", "A a@b.co> has a bracket without its partner. Write it as Name <name@example.com>."),
        ("a@example.com, b@example.com", "a@example.com, b@example.com holds several addresses. Enter exactly one."),
        ("A <a@b.co>, C <c@b.co>", "A <a@b.co>, C <c@b.co> holds several addresses. Enter exactly one."),
        ("A <a@example.com> B <b@example.com>", "A <a@example.com> B holds several addresses. Enter exactly one."),
        ("=?utf-8?q?Ann?= <a@b.co>", "The name =?utf-8?q?Ann?= is encoded. Write it in plain letters."),
        ("Ann\r\nBcc: x <ann@example.com>", "Ann��Bcc: x <ann@example.com> contains a line end. Remove it."),
        ("Ann\x00 <ann@example.com>", "Ann� <ann@example.com> contains an invisible character (U+0000). Remove it."),
        ("Ann\u202e <ann@example.com>", "Ann� <ann@example.com> contains an invisible character (U+202E). Remove it."),
        ("Ann\u2028 <ann@example.com>", "Ann� <ann@example.com> contains a line end. Remove it."),
        ("N" * 151 + " <ann@example.com>", "The name " + "N" * 60 + "… is longer than 150 characters. Shorten it."),
    ],
)  # fmt: skip
def test_a_bad_mailbox_is_refused_with_words(typed, sentence):
    with pytest.raises(AddressInvalid) as refusal:
        addresses.parse_mailbox(typed)

    assert str(refusal.value) == sentence


@pytest.mark.parametrize(
    ("name", "address"), [("A\nB", "a@example.com"), ("A", "a@example.com\r\nX: y"), ("\x7f", "a@b.co")]
)
def test_no_mailbox_can_be_made_that_ends_a_line(name, address):
    with pytest.raises(AddressInvalid, match="Remove it"):
        Mailbox(name, address)


names = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), max_size=30).map(
    lambda text: unicodedata.normalize("NFC", " ".join(text.split()))
)


@given(names)
def test_every_name_is_read_back(name):
    mailbox = Mailbox(name, "ann@example.com")
    try:
        parsed = addresses.parse_mailbox(str(mailbox))
    except AddressInvalid:
        assert "<" in name or ">" in name or "=?" in name
    else:
        assert parsed == mailbox


def test_an_independent_parser_reads_the_same_mailbox():
    mailbox = Mailbox('Lee, "Ace" Ann', "ann@example.com")

    header = message_from_string(f"From: {mailbox}\n\n", policy=email.policy.default)["From"].addresses

    assert [(box.display_name, box.addr_spec) for box in header] == [('Lee, "Ace" Ann', "ann@example.com")]


def test_a_list_of_mailboxes_is_read():
    typed = 'A <a@example.com>, "B, C" <b@example.com>;\r\n c@example.com,,\n'

    assert addresses.parse_mailboxes(typed) == [
        Mailbox("A", "a@example.com"),
        Mailbox("B, C", "b@example.com"),
        Mailbox("", "c@example.com"),
    ]


def test_an_empty_list_is_a_list():
    assert addresses.parse_mailboxes(" \r\n,") == []


def test_the_second_of_two_equal_addresses_is_dropped():
    assert addresses.parse_mailboxes("A <a@example.com>, a@EXAMPLE.com") == [Mailbox("A", "a@example.com")]


def test_a_list_has_an_end():
    typed = ",".join(f"a{number}@example.com" for number in range(4))

    assert len(addresses.parse_mailboxes(typed, most=4)) == 4
    with pytest.raises(AddressInvalid, match=r"There are 4 addresses, but at most 3 are allowed\. Remove some"):
        addresses.parse_mailboxes(typed, most=3)


def test_a_list_names_the_wrong_one():
    with pytest.raises(AddressInvalid, match="b@ has nothing after the @"):
        addresses.parse_mailboxes("a@example.com, b@")


# Hosts


@pytest.mark.parametrize(
    ("typed", "host", "port"),
    [
        ("smtp.example.com", "smtp.example.com", None),
        (" SMTP.Example.COM. ", "smtp.example.com", None),
        ("smtp.example.com:587", "smtp.example.com", 587),
        ("localhost", "localhost", None),
        ("mail_pit:1025", "mail_pit", 1025),
        ("bücher.example:25", "xn--bcher-kva.example", 25),
        ("127.0.0.1", "127.0.0.1", None),
        ("10.0.0.5:2525", "10.0.0.5", 2525),
        ("::1", "::1", None),
        ("[2001:DB8::0:1]:587", "2001:db8::1", 587),
        ("[::1]", "::1", None),
    ],
)
def test_a_host_is_read(typed, host, port):
    assert addresses.check_host(typed) == (host, port)


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("", "The host is empty. Enter one such as smtp.example.com."),
        ("smtp://example.com", "smtp://example.com starts with smtp://. Enter only the name, such as example.com."),
        ("ann@example.com", "ann@example.com contains an @. Enter only the name, such as example.com."),
        ("example.com/mail", "example.com/mail contains a path. Enter only the name, such as example.com."),
        ("mail example.com", "mail example.com contains a space. Enter only the name, such as example.com."),
        ("example.com:", "“” is not a port. Enter a number from 1 to 65535, usually 587."),
        ("example.com:0", "“0” is not a port. Enter a number from 1 to 65535, usually 587."),
        ("example.com:65536", "“65536” is not a port. Enter a number from 1 to 65535, usually 587."),
        ("example.com:smtp", "“smtp” is not a port. Enter a number from 1 to 65535, usually 587."),
        ("-a.example", "-a.example is not a host name. Enter one such as smtp.example.com."),
        ("a..example", "a..example is not a host name. Enter one such as smtp.example.com."),
        ("a" * 64, "a" * 60 + "… is not a host name. Enter one such as smtp.example.com."),
        ("1.2.3", "1.2.3 is not an IP address. Check its numbers."),
        ("256.1.1.1", "256.1.1.1 is not an IP address. Check its numbers."),
        ("0x7f000001", "0x7f000001 is not an IP address. Check its numbers."),
        ("2852039166", "2852039166 is not an IP address. Check its numbers."),
        ("[::1", "[::1 is not an IP address. Check its numbers."),
        ("::", ":: is not the address of one server. Enter another."),
        ("１２７.1", "127.1 is not an IP address. Check its numbers."),
        ("１６９.２５４.0.1", "169.254.0.1 is a link-local address, which is never a mail server. Enter another."),
        ("224.0.0.1", "224.0.0.1 is not the address of one server. Enter another."),
        ("::1%lo", "::1%lo is not the address of one server. Enter another."),
        ("169.254.169.254", "169.254.169.254 is a link-local address, which is never a mail server. Enter another."),
        ("[fe80::1]:25", "fe80::1 is a link-local address, which is never a mail server. Enter another."),
        ("::ffff:a9fe:1", "::ffff:a9fe:1 is a link-local address, which is never a mail server. Enter another."),
        ("a\nb", "a�b contains a line end. Remove it."),
    ],
)  # fmt: skip
def test_a_bad_host_is_refused_with_words(typed, sentence):
    with pytest.raises(AddressInvalid) as refusal:
        addresses.check_host(typed)

    assert str(refusal.value) == sentence


@given(st.text(max_size=40) | st.text(st.sampled_from("a1.:[]-x%@"), max_size=20))
def test_a_host_is_refused_or_ready_for_use(text):
    try:
        host, port = addresses.check_host(text)
    except AddressInvalid:
        return

    assert re.fullmatch(r"[a-z0-9_.:-]+", host)
    assert port is None or 1 <= port <= 65535
    assert addresses.check_host(host) == (host, None)


@pytest.mark.parametrize(
    ("typed", "domain"),
    [("Example.com.", "example.com"), ("bücher.example", "xn--bcher-kva.example"), ("shop.co.uk", "shop.co.uk")],
)  # fmt: skip
def test_a_domain_name_is_read(typed, domain):
    assert addresses.check_domain_name(typed) == domain


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("example", "example has no dot. Enter the whole domain, such as mail.example.com."),
        ("co.uk", "Anyone can register names below co.uk. Enter your own domain there."),
        ("github.io", "Anyone can register names below github.io. Enter your own domain there."),
        ("com.lb", "Anyone can register names below com.lb. Enter your own domain there."),
        ("Pages.dev", "Anyone can register names below Pages.dev. Enter your own domain there."),
        ("https://example.com", "https://example.com starts with https://. Enter only the name, such as example.com."),
        ("192.0.2.1", "192.0.2.1 is not a domain name. Enter one such as example.com."),
        ("192.0.2.１", "192.0.2.１ is not a domain name. Enter one such as example.com."),
        ("example.com:25", "example.com:25 is not a domain name. Enter one such as example.com."),
        ("a_b.example", "a_b.example is not a domain name. Write it as example.com."),
    ],
)
def test_a_bad_domain_name_is_refused_with_words(typed, sentence):
    with pytest.raises(AddressInvalid) as refusal:
        addresses.check_domain_name(typed)

    assert str(refusal.value) == sentence


@pytest.mark.parametrize("local", ["a" * 65, "a" * 64 + ".b", "é" * 33, '"' + "a" * 63 + '"'])
def test_no_address_for_the_envelope_has_more_than_64_octets_before_the_at(local: str) -> None:
    with pytest.raises(AddressInvalid, match=r"has more than 64 characters before the @\. Shorten it"):
        addresses.envelope_address(f"{local}@shop.example")


def test_a_label_can_be_read_by_people():
    assert addresses.readable_domain("mail.xn--bcher-kva.example") == "mail.bücher.example"
    assert addresses.readable_domain("xn--zzzzzz--.example") == "xn--zzzzzz--.example"


@pytest.mark.parametrize(
    "address",
    [
        *("ann@example.com", "Ann.Lee+tag@sub.example-shop.com", "ann@EXAMPLE.com", "o'neil@example.com"),
        *("jörg@example.com", "ann@bücher.example", '"ann lee"@example.com', " ann@example.com "),
        *("a" * 64 + "@example.com", "ann@xn--bcher-kva.example", "ann@" + "x" * 63 + ".example.com"),
    ],
)
def test_an_address_for_the_envelope_is_checked_and_spelled_as_dns_has_it(address: str) -> None:
    assert addresses.envelope_address(address) == addresses.ascii_address(addresses.check_address(address))


@given(st.text('aZ0.-_+@\r\n <>"xné', max_size=70))
def test_no_address_for_the_envelope_escapes_the_check(address: str) -> None:
    try:
        expected = addresses.ascii_address(addresses.check_address(address))
    except AddressInvalid:
        with pytest.raises(AddressInvalid):
            addresses.envelope_address(address)
    else:
        assert addresses.envelope_address(address) == expected


def test_what_is_wrong_with_an_address_is_told_in_the_language_of_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AddressInvalid) as refused:
        addresses.parse_mailbox("ann")
    monkeypatch.setattr(TRANSLATOR, "gettext", lambda text: text.replace("has no @ sign", "hat kein @"))

    assert str(refused.value).startswith("ann has no @ sign.")
    assert translated(refused.value).startswith("ann hat kein @.")
