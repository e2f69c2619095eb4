"""The checks of a message as recipients would get it, and of its servers and people."""

import datetime as dt
from dataclasses import replace
from email.message import EmailMessage

import pytest
from pytest_django import DjangoAssertNumQueries

from campaigns.content.written import Written
from campaigns.markup.convert import from_markdown, from_mjml, inlined
from campaigns.markup.frame import page, with_preheader
from campaigns.markup.starter_templates import SAMPLE_SENTENCES, starters
from campaigns.markup.visible_links import links_of
from campaigns.models import Campaign, Experiment, Variant
from campaigns.preflight import empty_fields, samples
from campaigns.preflight.checks import message
from campaigns.preflight.checks.message import CheckContext, ParsedMessage
from campaigns.preflight.finding import Finding, Severity
from campaigns.preflight.preview import build_preview
from campaigns.preflight.refusals import MOST_UNKNOWN, refusals
from campaigns.preflight.review import review, review_of
from contacts.models import Contact, Subscription
from delivery.models import UnreachableDomain
from smtpservers.models import SmtpServer
from smtpservers.routing.fleet import Fleet
from words.texts import TRANSLATOR, translated

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
URL = "https://shop.example/u/abc"
CONTEXT = CheckContext("Alpha", "smtp.example.net", "shop.example", URL, own=("https://site.example",))
LEAVE = f'<p><a href="{URL}">Unsubscribe</a></p>'


def composed(html: str = LEAVE, text: str = f"Hello. {URL}", **headers: str) -> ParsedMessage:
    """Return a sound message with other headers; an empty one is left out."""
    usual = {
        "From": "Shop <news@shop.example>",
        "To": "ann@customer.example",
        "Subject": "Snow",
        "Date": "Mon, 23 Nov 2026 12:00:00 +0000",
        "Message-ID": "<1.2.3@shop.example>",
        "List-Unsubscribe": f"<{URL}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    made = EmailMessage()
    for name, value in (usual | {name.replace("_", "-"): value for name, value in headers.items()}).items():
        if value:
            made[name] = value
    made.set_content(text)
    if html:
        made.add_alternative(html, subtype="html")
    return message.parse_message(made.as_bytes().replace(b"\n", b"\r\n"))


def told(seen: ParsedMessage, context: CheckContext = CONTEXT) -> dict[str, Severity]:
    return {finding.check_id: finding.severity for finding in message.findings(seen, context)}


def sentences(seen: ParsedMessage, check_id: str) -> list[str]:
    return [finding.sentence for finding in message.findings(seen, CONTEXT) if finding.check_id == check_id]


def test_a_sound_message_has_no_findings() -> None:
    assert list(message.findings(composed(), CONTEXT)) == []


@pytest.mark.parametrize(
    ("headers", "check", "severity"),
    [
        ({"Date": ""}, "M1", Severity.FATAL),
        ({"Message_ID": "<1@elsewhere.example>"}, "M3", Severity.FATAL),
        ({"From": "Shop <shop@gmail.com>"}, "M2", Severity.BLOCK),
        ({"From": "Shop <shop@yahoo.it>"}, "M2", Severity.BLOCK),
        ({"From": '"shop@gmail.com" <news@shop.example>'}, "M2", Severity.WARN),
        ({"From": '"Shop at www.yahoo.de" <news@shop.example>'}, "M2", Severity.WARN),
        ({"List_Unsubscribe": ""}, "M4", Severity.BLOCK),
        ({"List_Unsubscribe": "<http://shop.example/u/abc>"}, "M4", Severity.BLOCK),
        ({"List_Unsubscribe_Post": "List-Unsubscribe=Yes"}, "M4", Severity.BLOCK),
        ({"Subject": "Re: your order"}, "M12", Severity.WARN),
        ({"Subject": "BUY NOW OR NEVER"}, "M12", Severity.WARN),
        ({"Subject": "Dear {{ firstname }}"}, "M10", Severity.BLOCK),
    ],
)
def test_headers(headers: dict[str, str], check: str, severity: Severity) -> None:
    assert told(composed(**headers)) == {check: severity}


def test_the_form_of_the_bytes() -> None:
    sound = composed()
    long_line = replace(sound, content=sound.content + b"x" * 999 + b"\r\n")
    bare = replace(sound, content=sound.content.replace(b"Hello.", b"Hello.\n"))

    assert told(long_line) == {"M1": Severity.FATAL}
    assert told(bare) == {"M1": Severity.FATAL}


@pytest.mark.parametrize(
    ("host", "address"), [("smtp.gmail.com", "shop@gmail.com"), ("smtp.protonmail.ch", "shop@proton.me")]
)
def test_ones_own_provider_may_send_for_a_free_mailbox(host: str, address: str) -> None:
    assert told(composed(From=f"Shop <{address}>"), replace(CONTEXT, host=host)) == {}


def test_a_name_that_only_ends_like_a_provider_is_no_fraud() -> None:
    assert told(composed(From="Acme.com and Olive.com <news@shop.example>")) == {}


@pytest.mark.parametrize(
    ("html", "hidden"),
    [
        (LEAVE, ""),
        (f'<div style="display:none">{LEAVE}</div>', "it isn't displayed"),
        (f'<a href="{URL}" style="font-size:1px">Unsubscribe</a>', "its letters have 1 pixels"),
        (
            f'<div style="font-size: 10px"><a href="{URL}" style="font-size:0.1em">x</a></div>',
            "its letters have 1 pixels",
        ),
        (f'<a href="{URL}" style="color:#FFF">Unsubscribe</a>', "its colour is that of the background"),
        (
            f'<td bgcolor="#101010"><a href="{URL}"><span style="color: rgb(20,20,20)">Leave</span></a></td>',
            "its colour is that of the background",
        ),
        (f'<td style="background:#222"><a href="{URL}" style="color:#fff">Leave</a></td>', ""),
        (f'<a href="{URL}" style="visibility: hidden !important">x</a>', "it is made invisible"),
        (f'<p style="opacity:0"><a href="{URL}">Leave</a></p>', "it is transparent"),
        (f'<div style="max-height:0;overflow:hidden"><a href="{URL}">Leave</a></div>', "its box has no room"),
        (f'<a href="{URL}"> </a>', "it has no words"),
        (f'<a href="{URL}"><img src="x.png" alt=""></a>', ""),
        (f'<a href="{URL}">Leave<span style="display:none">!</span></a>', ""),
        (f'<p style="font-size:0"><br><a href="{URL}" style="font-size:12px">Leave</a>', ""),
    ],
)
def test_a_link_that_people_do_not_see_is_told_from_one_they_do(html: str, hidden: str) -> None:
    [link], _ = links_of(html)

    assert link.hidden == hidden
    assert ("M6" in told(composed(html))) == bool(hidden)


def test_one_visible_link_is_enough_and_both_parts_need_one() -> None:
    assert told(composed(f'<div style="display:none">{LEAVE}</div>{LEAVE}')) == {}
    assert told(composed("<p>Hello</p>")) == {"M6": Severity.BLOCK}
    assert told(composed(text="Hello.")) == {"M6": Severity.BLOCK}


@pytest.mark.parametrize(
    ("url", "severity"),
    [
        ("https://shop.example/sale?a=1&b=2", None),
        ("mailto:ann@shop.example", None),
        ("#top", None),
        ("https://site.example/media/1.png", None),
        ("http://shop.example/", Severity.WARN),
        ("/sale", Severity.WARN),
        ("sale.html", Severity.WARN),
        ("https://bit.ly/abc", Severity.WARN),
        ("https://93.184.216.34/", Severity.WARN),
        ("https://10.0.0.7/", Severity.BLOCK),
        ("http://localhost:8000/sale", Severity.BLOCK),
        ("http://[::1]/", Severity.BLOCK),
        ("javascript:alert(1)", Severity.WARN),
        ("http://[broken", Severity.WARN),
    ],
)
def test_links(url: str, severity: Severity | None) -> None:
    assert told(composed(f'{LEAVE}<a href="{url}">Sale</a>')) == ({"M11": severity} if severity else {})


def test_every_link_at_fault_is_named() -> None:
    links = [
        '<a href="http://one.example/">One</a> <a href="http://two.example/x">Two</a>',
        '<a href="#">Menu</a> <a href=" ">Shop</a> <a href="">Call us</a> <a href="/sale">Sale</a>',
    ]

    said = sentences(composed(LEAVE + "".join(links)), "M11")

    assert sorted(said) == [
        "A link has no address: “Menu”, “Shop”, “Call us”.",
        "A link has no host, so it doesn't work in a message: /sale.",
        "A link isn't encrypted: http://one.example/, http://two.example/x.",
    ]


@pytest.mark.parametrize(
    "left",
    ["[FNAME]", "[First Name]", "{first_name}", "{{ firstname }}", "%FIRSTNAME%", "*|FNAME|*", "*|Email|*", "${name}"],
)
def test_merge_fields_of_other_programs_are_named(left: str) -> None:
    said = sentences(composed(f"{LEAVE}<p>Dear {left}, [LNAME]</p>"), "M10")

    assert said == [f"2 merge fields are left in the message: {left}, [LNAME]."]


@pytest.mark.parametrize("meant", ["[Coat]", "{margin:0}", "100% name%", "a-name-b", "[1]", "{}", "5 %email"])
def test_brackets_that_are_no_merge_fields_are_left_alone(meant: str) -> None:
    assert told(composed(f"{LEAVE}<p>{meant}</p>")) == {}


def test_parts_and_size() -> None:
    assert told(composed(text=" ")) == {"M6": Severity.BLOCK, "M9": Severity.WARN}
    assert told(composed(f"{LEAVE}<form><input></form>")) == {"M9": Severity.WARN}
    assert told(composed(LEAVE + "<p>word</p>" * 10_000)) == {"M9": Severity.WARN}
    assert told(composed(), replace(CONTEXT, largest=(("Alpha", 100),))) == {"M13": Severity.BLOCK}
    assert [finding.check_id for finding in message.size(26_000_000, ())] == ["M13"]


def test_who_has_no_name_is_not_greeted_as_nobody() -> None:
    empty = list(message.empty_greeting(composed(text="Dear Zoë,\nsnow"), composed(text="Dear ,\nsnow")))
    filled = list(message.empty_greeting(composed(text="Dear Zoë,\nsnow"), composed(text="Dear friend,\nsnow")))
    french = list(message.empty_greeting(composed(text="Bonjour !"), composed(text="Bonjour !")))

    assert [finding.sentence for finding in empty] == ["People without a name are greeted with “Dear ,”."]
    assert (filled, french) == ([], [])


def test_the_postal_address() -> None:
    seen = composed(LEAVE + "<p>Shop, 1 Main Street,<br>Springfield</p>")

    assert list(message.postal_address(seen, ["1 Main Street\nSpringfield"], 5)) == []
    [warning] = message.postal_address(seen, ["2 Side Street"], 0)
    [block] = message.postal_address(seen, [], 5)
    assert (warning.severity, block.severity) == (Severity.WARN, Severity.BLOCK)


def test_sample_words_and_links_of_every_template_are_found() -> None:
    bodies = [
        from_mjml(starter.content)[0] if starter.markup == "mjml" else from_markdown(starter.content)
        for starter in starters()[:-1]
    ]
    for body in bodies:
        words, addresses = (finding.sentence for finding in message.sample_text(composed(body)))
        assert "sample sentences of the template are still in the message" in words
        assert "to the template's example address: https://example.com/" in addresses
    [words, _] = message.sample_text(composed("".join(bodies)))
    assert words.sentence.startswith(f"{len(SAMPLE_SENTENCES)} sample sentences")
    mine = '<p>Thank you for reading,</p><a href="https://example.com/sale">Sale</a>'
    assert list(message.sample_text(composed(mine))) == []


def test_the_preheader_of_every_template_is_found_and_the_same_words_elsewhere_are_not() -> None:
    for preheader in (starter.preheader for starter in starters()[:-1]):
        mine = page(f"<p>{preheader}</p>", title="Shop")
        [left] = message.sample_text(composed(inlined(with_preheader(mine, preheader))))
        assert left.sentence == f"The preheader is still the template's: “{preheader}”."
        assert list(message.sample_text(composed(inlined(with_preheader(mine, "Tulips are here."))))) == []


# --- of a whole campaign


def by_id(campaign: Campaign) -> dict[str, Finding]:
    return {finding.check_id: finding for finding in review(campaign, NOW).findings}


@pytest.fixture
def sound(campaign: Campaign, server: SmtpServer) -> Campaign:
    campaign.html = '<p>Snow, {{ first_name | default: "friend" }}! <a href="https://example.com/sale">Sale</a></p>'
    campaign.subject = "Winter sale"
    campaign.save()
    return campaign


@pytest.mark.django_db
def test_a_sound_campaign_has_only_the_warning_of_its_address(sound: Campaign) -> None:
    found = review(sound, NOW)

    assert {finding.check_id: finding.severity for finding in found.findings} == {"M8": Severity.WARN}
    assert found.servers == ("Alpha",)
    assert found.message_bytes
    seen = [build_preview(sound, one, SmtpServer.objects.get(), NOW).bytes for one in Contact.objects.all()]
    assert 0 <= found.html_bytes - max(seen) < 50  # As the editor shows it, where links are for nobody and shorter.
    assert "Links" in found.passed
    assert "Postal address" not in found.passed


@pytest.mark.django_db
def test_what_is_composed_is_what_is_checked(sound: Campaign, server: SmtpServer) -> None:
    sound.html = '<p>Dear {{ first_name }},</p><a href="http://localhost/sale">Sale</a>'
    sound.save()
    SmtpServer.objects.filter(pk=server.pk).update(use_unsubscribe_link=False, max_message_bytes=500)

    found = by_id(sound)

    assert {"M4", "M6", "M10", "M11", "M13"} <= set(found)
    assert found["M10"].sentence == "People without a name are greeted with “Dear ,”."
    assert found["M10"].severity == Severity.WARN  # Everybody has one.
    Contact.objects.filter(email_key="bea@example.com").update(first_name="")
    assert by_id(sound)["M10"].severity == Severity.BLOCK
    assert "Alpha" in found["M4"].sentence


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("html", "severity", "sentence"),
    [
        ("<p>Hello {{ first_name }}, snow</p>", "block", "1 of 3 people has no first name and reads “Hello ,”."),
        ("<p>Dear {{ full_name | upcase }}!</p>", "block", "1 of 3 people has no name and reads “Dear !”."),
        ("<p>For {{ last_name }} &amp; all</p>", "warn", "3 of 3 people have no last name and read “For & all”."),
        ("<p>Your {{ plan }} plan ends.</p>", "warn", "2 of 3 people have no “plan” and read “Your plan ends.”."),
        ('<a href="https://example.com/sale?plan={{ plan }}">Sale</a>', "warn", "2 of 3 people have no “plan”."),
        ("<p>On {{ plan }}.</p><p>Dear {{ plan }},</p>", "block", "2 of 3 people have no “plan” and read “Dear ,”."),
        ('<p>Hello {{ first_name | default: "you" }}, snow</p>', None, ""),
        ("<p>{% if plan %}Your {{ plan }} plan{% else %}Snow{% endif %}</p>", None, ""),
        ("<p>To {{ email }}, <a href='{{ preferences_url }}'>settings</a></p>", None, ""),
    ],
)  # fmt: skip
def test_people_whose_merge_field_is_empty_are_counted(
    sound: Campaign, html: str, severity: str | None, sentence: str
) -> None:
    Contact.objects.filter(email_key="bea@example.com").update(first_name="")
    Contact.objects.filter(email_key="ann@example.com").update(attributes={"plan": "gold"})
    sound.html = html
    sound.save()

    found = [finding for finding in review(sound, NOW).findings if finding.check_id == "M10"]

    assert [(finding.severity, finding.sentence) for finding in found] == ([(severity, sentence)] if severity else [])


@pytest.mark.django_db
@pytest.mark.parametrize(("greetings", "severity"), [(1, "warn"), (2, "block")])
def test_greetings_are_counted_before_other_fields_and_what_was_not_counted_is_said(
    sound: Campaign, monkeypatch: pytest.MonkeyPatch, greetings: int, severity: str
) -> None:
    monkeypatch.setattr(empty_fields, "MOST_FIELDS", 1)
    names = ["zoo", "zoom"][:greetings]
    Contact.objects.filter(email_key="ann@example.com").update(attributes=dict.fromkeys(["animal", *names], "x"))
    sound.html = f"<p>Your {{{{ animal }}}}</p>{''.join(f'<p>Dear {{{{ {name} }}}},</p>' for name in names)}"
    sound.save()

    found = [finding for finding in review(sound, NOW).findings if finding.check_id == "M10"]

    assert {(finding.severity, finding.sentence) for finding in found} == {
        ("block", "2 of 3 people have no “zoo” and read “Dear ,”."),
        (
            severity,
            "1 more field wasn't checked for people without a value."
            if greetings == 1
            else "2 more fields weren't checked for people without a value.",
        ),
    }


@pytest.mark.django_db
def test_many_unknown_fields_cost_no_search_each(
    sound: Campaign, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    sound.html = "".join(f"<p>{{{{ wrong_{number} }}}}</p>" for number in range(900))
    sound.save()

    with django_assert_max_num_queries(60):
        found = refusals(sound, NOW)

    assert len(found) == MOST_UNKNOWN + 1
    assert found[0].startswith("The HTML uses {{ wrong_0 }}, which nobody on the chosen lists has.")
    assert found[-1].startswith("880 more fields weren't looked for")
    assert sum(map(len, found)) < 5_000


@pytest.mark.django_db
def test_a_field_that_every_server_fills_in_leaves_no_gap(sound: Campaign, server: SmtpServer) -> None:
    sound.html = "<p>Hello {{ first_name }}, snow</p>"
    sound.save()
    Contact.objects.update(first_name="")
    assert "M10" in by_id(sound)

    SmtpServer.objects.update(unknown_first_name="friend")

    assert "M10" not in by_id(sound)


@pytest.mark.django_db
def test_each_server_that_shapes_the_mail_differently_is_looked_at(sound: Campaign, server: SmtpServer) -> None:
    SmtpServer.objects.create(
        name="Beta", host="localhost", mail_from="Shop <news@example.com>", use_unsubscribe_link=False
    )

    assert "Beta" in by_id(sound)["M4"].sentence


@pytest.mark.django_db
def test_a_site_that_recipients_cannot_reach_blocks(sound: Campaign, server: SmtpServer) -> None:
    """The links of a demo lead to this very computer; through a real provider they would lead nowhere."""
    SmtpServer.objects.filter(pk=server.pk).update(host="smtp.provider.example")

    assert by_id(sound)["M4"].severity == Severity.BLOCK


@pytest.mark.django_db
def test_servers_people_and_room(sound: Campaign, server: SmtpServer) -> None:
    SmtpServer.objects.filter(pk=server.pk).update(
        preset="gmail", mail_bcc="archive@example.com", max_per_month=3, unsubscribe_url="https://shop.example/leave"
    )
    Contact.objects.filter(email_key="ann@example.com").update(email="info@x.example", email_key="info@x.example")
    bea = Contact.objects.get(email_key="bea@example.com")
    Subscription.objects.filter(contact=bea).update(status="unsubscribed")

    found = by_id(sound)

    assert found["C1"].sentence == "1 message waits for a quota that resets 1 Dec, 00:00."
    assert found["C2"].severity == Severity.WARN
    assert found["C3"].sentence == "1 person is excluded: 1 unsubscribed."
    assert found["C4"].severity == Severity.WARN
    assert found["M14"].sentence == "Each message through Alpha makes 1 copy, which counts towards the quota."
    assert found["M5"].severity == Severity.WARN

    SmtpServer.objects.update(is_active=False)
    assert by_id(sound)["C1"].sentence == "With the current settings, 2 of 2 messages can't be sent. Alpha is inactive."


@pytest.mark.django_db
def test_people_whose_message_would_fail_here_are_told_before(sound: Campaign, server: SmtpServer) -> None:
    def give(*addresses: str) -> None:
        for name, address in zip(("ann", "bea", "cleo"), addresses, strict=True):
            domain = address.partition("@")[2]
            Contact.objects.filter(first_name__iexact=name).update(email=address, email_key=address, domain=domain)

    give("ann@shop.example.org", "bea@x.test", "cleo@gone.org")
    assert "C7" not in by_id(sound)  # Its provider judges the addresses.
    assert "Reachable recipients" in review(sound, NOW).passed
    SmtpServer.objects.update(handles_email_validation=False)
    some = by_id(sound)["C7"]
    UnreachableDomain.objects.create(domain="gone.org", kind="no-domain", found_at=NOW - dt.timedelta(hours=1))
    everybody = by_id(sound)["C7"]

    assert (some.severity, some.sentence) == (
        Severity.WARN,
        "2 of 3 recipients won't be reached: domain reserved for examples."
        " Addresses are checked here because “Handles email validation” is off for Alpha.",
    )
    assert (everybody.severity, everybody.sentence) == (
        Severity.BLOCK,
        "3 of 3 recipients won't be reached: domain accepts no mail (1), domain reserved for examples (2)."
        " Addresses are checked here because “Handles email validation” is off for Alpha.",
    )


@pytest.mark.django_db
def test_kinds_of_messages_that_nobody_had_the_time_for_block(
    sound: Campaign, server: SmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[SmtpServer] = []
    make = samples._sample
    monkeypatch.setattr(samples, "_sample", lambda *given: (made.append(given[1]), make(*given))[1])
    for number in range(4):
        SmtpServer.objects.create(name=f"B{number}", host="localhost", mail_from=f"News <n{number}@example.com>")

    def looked_at(seconds: float) -> tuple[Finding | None, int]:
        made.clear()
        found = review_of(Written(sound), Fleet(NOW), seconds).findings
        unseen = [finding for finding in found if finding.check_id == "M10" and "checked" in finding.sentence]
        return (unseen[0] if unseen else None), len(made)

    unseen, number = looked_at(60.0)
    assert (unseen, number) == (None, 5)
    unseen, number = looked_at(0.0)

    assert unseen is not None
    assert (unseen.severity, unseen.sentence) == (
        Severity.BLOCK,
        f"{5 - number} versions of the message weren't checked, because filling them in takes too long.",
    )
    assert number <= 1


@pytest.mark.django_db
@pytest.mark.parametrize(("is_relayed", "severity"), [(False, Severity.BLOCK), (True, None)])
def test_a_page_that_takes_no_click_stops_only_campaigns_that_lead_there(
    sound: Campaign, server: SmtpServer, is_relayed: bool, severity: Severity | None
) -> None:
    SmtpServer.objects.filter(pk=server.pk).update(
        unsubscribe_url="https://shop.example/leave",
        unsubscribe_probed_at=dt.datetime(2026, 11, 3, 12, tzinfo=dt.UTC),
        unsubscribe_problem="shop.example answered 404.",
        relays_unsubscribes=is_relayed,
    )

    found = by_id(sound)

    assert (found["M5"].severity if "M5" in found else None) == severity
    assert ("M4" in found) is not is_relayed


@pytest.mark.django_db
def test_national_domains_count_for_the_bulk_rules_of_their_provider(sound: Campaign) -> None:
    addresses = [f"p{number}@{('hotmail.fr', 'live.de', 'outlook.com')[number % 3]}" for number in range(5_001)]
    people = Contact.objects.bulk_create(Contact(email=address, email_key=address) for address in addresses)
    news = Subscription.objects.first().list
    Subscription.objects.bulk_create(Subscription(contact=person, list=news) for person in people)

    assert by_id(sound)["C5"].sentence == (
        "5,001 recipients use Outlook, which applies bulk sender rules from 5,000 messages a day."
    )


@pytest.mark.django_db
def test_people_in_the_united_states_make_the_address_a_must(sound: Campaign) -> None:
    Contact.objects.filter(email_key="ann@example.com").update(time_zone="America/Chicago")

    assert by_id(sound)["M8"].severity == Severity.BLOCK
    assert "1 recipient is" in by_id(sound)["M8"].sentence


# --- of an A/B test


def make_test(campaign: Campaign, *variants: dict[str, str]) -> None:
    experiment = Experiment.objects.create(campaign=campaign, sample_percent=100)
    for position, said in enumerate(variants):
        Variant.objects.create(experiment=experiment, position=position, **said)


@pytest.mark.django_db
def test_every_variant_is_looked_at_and_named(sound: Campaign) -> None:
    make_test(
        sound,
        {},
        {"body": '<p>Dear {{ first_name }},</p><a href="http://localhost/sale">Sale</a>'},
        {"subject": "BUY NOW OR NEVER", "body": '<a href="http://localhost/sale">Sale</a>'},
    )

    found = by_id(sound)

    assert found["M11"].sentence.startswith("Variants B and C: A link leads to a computer that recipients can't reach")
    assert found["M11"].severity == Severity.BLOCK
    assert found["M10"].sentence == "Variant B: People without a name are greeted with “Dear ,”."
    assert found["M12"].sentence == "Variant C: The subject is all capitals, like spam."
    assert found["M8"].sentence.startswith("The message has no postal address")  # None of them does.
    assert "Links" not in review(sound, NOW).passed


@pytest.mark.django_db
def test_what_no_variant_says_any_more_is_not_looked_at(sound: Campaign) -> None:
    sound.subject = "BUY NOW OR NEVER"
    sound.save()
    make_test(sound, {"subject": "Snow"}, {"subject": "Sun"})

    assert "M12" not in by_id(sound)


@pytest.mark.django_db
def test_a_variant_is_looked_at_through_the_servers_of_its_own_sender(sound: Campaign, server: SmtpServer) -> None:
    SmtpServer.objects.create(
        name="Beta", host="localhost", mail_from="Snow <snow@beta.example>", use_unsubscribe_link=False
    )
    sound.mail_from = "Shop <news@example.com>"
    sound.save()
    assert "M4" not in by_id(sound)

    make_test(sound, {}, {"mail_from": "Snow <snow@beta.example>"})

    assert by_id(sound)["M4"].sentence.startswith("Variant B: One-click unsubscribe doesn't work through Beta")
    assert review(sound, NOW).servers == ("Alpha", "Beta")


def test_findings_are_told_in_the_language_of_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    bad = (
        b"From: \xf0\x9f\x8e\x81 <a@gmail.com>\r\nSubject: RE: X\r\nContent-Type: text/html\r\n\r\n"
        b'<p>{{ first_name }}, *|FNAME|*</p><a href="">x</a><a href="http://bit.ly/x">y</a><form></form>'
    )
    context = message.CheckContext("Alpha", "smtp.alpha.example", "alpha.example", "https://alpha.example/u/1")
    seen = message.parse_message(bad)
    said = [*message.findings(seen, context), *message.postal_address(seen, ["1 Street"], 2)]
    monkeypatch.setattr(TRANSLATOR, "gettext", lambda text: f"⟦{text}⟧")
    monkeypatch.setattr(TRANSLATOR, "ngettext", lambda one, several, number: f"⟦{several}⟧")

    texts = [translated(text) for each in said for text in (each.title, each.sentence, each.remedy)]

    assert len(said) > 10
    assert [text for text in texts if not (text.startswith("⟦") and text.endswith("⟧"))] == []
