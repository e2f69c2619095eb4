"""The pages of the first run: what they make, whom they let in, and the steps on Home."""

from dataclasses import replace
from typing import Any

import lxml.html
import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.core.files.base import ContentFile
from django.test import Client
from django.utils import timezone

from brilliance.web.first_run.people import read
from campaigns.markup.starter_templates import starters
from campaigns.models import Campaign
from contacts.models import ConsentEvent, Contact, ContactImport, ContactList, Subscription
from contacts.transfer.import_contacts import import_people
from delivery.content.message import Outgoing
from delivery.content.return_paths import ReturnPath
from delivery.models import Trial
from feedback.intake import store
from feedback.intake.addresses import our_addresses
from feedback.models import RawReport, Report
from feedback.tasks import process_reports
from installation.models import SiteSettings
from installation.site import site
from mail.addresses import parse_mailbox
from sandbox import late_mail
from smtpservers.models import SmtpServer
from tests.feedback.reports.making import make_mailing, sent_to
from tests.harness.forms import opened
from tests.oauth.making import make_account

ORGANISATION, SERVER, PEOPLE, HIDE = (f"/set-up/{name}/" for name in ("organisation", "server", "people", "hide"))
ADD = "/admin/smtpservers/smtpserver/add/"
EITHER = {"oauth_account", "username", "password"}
CONSENT = "Asked for it at our shop"


@pytest.fixture
def client(db: None) -> Client:
    user = User.objects.create_user("boss", email="Boss@example.com", first_name="Bo", is_staff=True)
    user.groups.add(Group.objects.get(name="admin"))
    client = Client()
    client.force_login(user)
    return client


def test_the_organisation_needs_name_and_address_and_leads_to_the_server(client: Client) -> None:
    assert client.post(ORGANISATION, {"organisation": "", "postal_address": "", "time_zone": ""}).status_code == 200
    assert not SiteSettings.objects.exists()

    given = {"organisation": "Acme", "postal_address": "1 Quay Street", "time_zone": "Europe/Berlin", "language": "de"}
    answer = client.post(ORGANISATION, given)

    assert answer["Location"] == SERVER
    saved = SiteSettings.objects.get(pk=1)
    assert (saved.organisation, saved.postal_address, saved.time_zone) == ("Acme", "1 Quay Street", "Europe/Berlin")
    assert saved.tracking == ""
    assert saved.language == "de"
    assert "set-up steps" in LogEntry.objects.get().change_message


@pytest.mark.usefixtures("saved_settings")
@pytest.mark.parametrize(
    ("answer", "holds"), [("", "off"), ("off", "off"), ("anonymous", "anonymous"), ("personal", None), ("x", None)]
)
def test_the_first_run_asks_whether_to_count_and_never_offers_to_count_by_name(
    client: Client, answer: str, holds: str | None
) -> None:
    given = {"organisation": "Acme", "postal_address": "1 Quay Street", "tracking": answer}

    page = client.get(ORGANISATION).content.decode()
    answered = client.post(ORGANISATION, given)

    assert '<option value="anonymous">' in page
    assert 'value="personal"' not in page
    assert (answered.status_code == 302) == (holds is not None)
    assert site().tracking == (holds or "off")


@pytest.mark.usefixtures("saved_settings")
def test_the_first_run_keeps_a_level_that_was_chosen_in_the_settings(client: Client) -> None:
    SiteSettings.objects.create(pk=1, tracking="personal")
    page = client.get(ORGANISATION).content.decode()

    client.post(ORGANISATION, {"organisation": "Acme", "postal_address": "1 Quay Street", "tracking": "personal"})

    assert 'value="personal" selected' in page
    assert site().tracking == "personal"


def test_the_test_inbox_is_one_press_and_its_test_ends_untested(client: Client, settings: Any) -> None:
    settings.SANDBOX_ENABLED = True

    answers = [client.post(SERVER), client.post(SERVER)]

    assert [answer["Location"] for answer in answers] == [PEOPLE, PEOPLE]
    server = SmtpServer.objects.get()
    assert (server.host, server.port, server.mail_to) == ("127.0.0.1", settings.SANDBOX_PLAIN_PORT, "Boss@example.com")
    assert Trial.objects.filter(server=server, recipient="Boss@example.com").exists()


def test_what_the_test_inbox_answers_comes_back_without_a_demo_too(client: Client, settings: Any) -> None:
    settings.SANDBOX_ENABLED = True
    client.post(SERVER)
    server = SmtpServer.objects.get()
    gone, angry = (sent_to(f"{name}.1@example.org", make_mailing(), server) for name in ("late-bounce", "complain"))

    for message in (gone, angry):
        path = ReturnPath(server, parse_mailbox(server.mail_from).address, "campaign").of(
            replace(Outgoing.of(message), attempt_count=0)
        )
        content = f"Subject: x\r\nMessage-ID: {message.message_id}\r\nX-Complaints-To: {server.spam_address}\r\n\r\nHi"
        answer = late_mail.answer(message.email, path, content.encode(), timezone.now())
        assert answer is not None
        assert our_addresses().purpose(answer.recipient) is not None, "the mail listener refuses nothing of this"
        store.take(RawReport.Source.LISTENER, answer.content, now=timezone.now(), envelope_to=answer.recipient)
    process_reports()

    assert set(Report.objects.values_list("kind", "state")) == {("hard", "applied"), ("complaint", "applied")}
    gone.refresh_from_db()
    assert gone.status == "bounced"


def test_without_a_test_inbox_there_is_no_tile_for_it(client: Client, settings: Any) -> None:
    settings.SANDBOX_ENABLED = False

    assert "Test inbox on this machine" not in client.get(SERVER).content.decode()
    assert client.post(SERVER).status_code == 403
    assert not SmtpServer.objects.exists()


def test_a_provider_s_tile_leads_to_its_form_filled_in(client: Client) -> None:
    page = client.get(SERVER).content.decode()
    assert "/admin/smtpservers/smtpserver/add/?preset=postmark&amp;name=Postmark&amp;short=on" in page

    form = client.get(f"{ADD}?preset=postmark&name=Postmark&short=on").content.decode()

    assert 'value="smtp.postmarkapp.com"' in form
    assert 'value="Postmark"' in form


@pytest.mark.parametrize(
    ("address", "asked", "optional"),
    [
        ("preset=brevo&name=Brevo&", ["username", "password", "mail_from"], set()),
        ("preset=postmark&name=Postmark&", ["api_key", "mail_from"], set()),
        ("preset=sendgrid&name=SendGrid&", ["password", "mail_from"], set()),
        ("preset=mailpit&name=Mailpit&", ["username", "password", "mail_from"], {"username", "password"}),
        *(
            (f"preset={key}&name=A&", ["oauth_account", "username", "password", "mail_from"], EITHER)
            for key in ("m365", "outlook", "gmail", "workspace")
        ),
        ("", ["name", "host", "port", "username", "password", "mail_from"], {"username", "password"}),
    ],
)
def test_a_server_s_first_form_asks_what_the_provider_does_not_say(
    client: Client, address: str, asked: list[str], optional: set[str]
) -> None:
    tree = lxml.html.document_fromstring(client.get(f"{ADD}?{address}short=on").content.decode())

    form = "//form[@id='smtpserver_form']"
    visible = f"{form}//*[self::input or self::select or self::textarea][@name][not(@type='hidden')]"
    shown = tree.xpath(f"{visible}[not(ancestor::details)]/@name")
    assert [name for name in shown if not name.startswith("_")] == asked
    unmarked = {name for name in asked if "*" not in tree.xpath(f"string(//label[@for='id_{name}'])")}
    assert unmarked == optional
    assert [button.text_content().strip() for button in tree.xpath("//button[@type='submit'][@form]")] == [
        "Save and send test"
    ]
    assert tree.xpath("//details[not(@open)]//input[@name='mail_to']/@value") == ["Boss@example.com"]
    assert len(tree.xpath("//*[@name='mail_from']")) == 1


@pytest.mark.parametrize(
    ("typed", "wrong"),
    [
        ({"oauth_account": "1"}, []),
        ({"username": "news@shop.example", "password": "canary"}, []),
        ({}, ["oauth_account"]),
        ({"username": "news@shop.example"}, ["oauth_account"]),
        ({"password": "canary"}, ["oauth_account"]),
        ({"oauth_account": "1", "password": "canary"}, ["oauth_account"]),
        ({"oauth_account": "1", "mail_from": ""}, ["mail_from"]),
    ],
)
@pytest.mark.parametrize(("key", "flow"), [("m365", "microsoft app"), ("workspace", "google service")])
def test_a_provider_with_oauth_is_added_with_an_account_or_a_password(
    client: Client, key: str, flow: str, typed: dict[str, str], wrong: list[str]
) -> None:
    account = make_account(flow)
    address = f"{ADD}?preset={key}&name=Mailbox&short=on"
    posted = opened(client.get(address).content, "smtpserver_form") | {"mail_from": "news@shop.example", **typed}
    if "oauth_account" in typed:
        posted["oauth_account"] = str(account.pk)

    answer = client.post(address, posted)

    errors = answer.context["adminform"].form.errors if answer.context else {}
    assert [name for name, said in errors.items() if "You typed a new one before." not in str(said)] == wrong
    assert SmtpServer.objects.count() == (0 if wrong else 1)


def test_a_folded_field_with_an_error_is_unfolded(client: Client) -> None:
    given = {"name": "A", "host": "smtp.example.com", "port": 587, "mail_from": "a@example.com", "time_zone": "Mars"}

    page = client.post(f"{ADD}?short=on", given).content.decode()

    assert '<details class="server-more" open>' in page
    assert "“Mars”" in page


def test_every_page_on_the_way_says_its_step_and_leads_on_once_it_is_done(client: Client) -> None:
    def said(page: str) -> str:
        tree = lxml.html.document_fromstring(client.get(page).content.decode())
        return " ".join(tree.xpath("string(//p[@class='set-up-step'])").split())

    assert said(ORGANISATION) == "Step 1 of 5: Your organisation All steps"
    assert said(f"{ADD}?short=on") == "Step 2 of 5: A server All steps"
    assert said(PEOPLE) == "Step 3 of 5: People All steps"
    assert said("/admin/campaigns/campaign/add/") == "Step 4 of 5: A campaign All steps"
    server = SmtpServer.objects.create(name="A", host="smtp.example.com", mail_from="a@example.com")
    assert said(f"/servers/{server.pk}/test/") == "Step 2 of 5: A server ✓ (done) Next: People All steps"

    client.post("/campaigns/begin/", {"starter": "empty"})
    draft = Campaign.objects.get()
    assert said(f"/campaigns/{draft.pk}/review/") == "Step 5 of 5: Send it All steps"
    assert said(f"/admin/campaigns/campaign/{draft.pk}/change/") == "Step 4 of 5: A campaign All steps"
    news = ContactList.objects.create(name="News")
    ann = Contact.objects.create(email="ann@example.com")
    Subscription.objects.create(contact=ann, list=news, status="subscribed")
    draft.lists.add(news)
    letter = starters()[0]
    Campaign.objects.update(subject="Snow", markup=letter.markup, markdown=letter.content)
    assert said(f"/admin/campaigns/campaign/{draft.pk}/change/") == "Step 4 of 5: A campaign All steps"
    Campaign.objects.update(markdown="It snows.")
    assert "Step 4 of 5: A campaign ✓ (done)" in said(f"/admin/campaigns/campaign/{draft.pk}/change/")
    Campaign.objects.update(status=Campaign.Status.FINISHED)

    assert said(ORGANISATION) == ""


def test_only_me_is_one_press(client: Client) -> None:
    answer = client.post(PEOPLE, {"name": "Newsletter", "only_me": "on"})

    assert answer["Location"] == "/admin/campaigns/campaign/add/"
    subscription = Subscription.objects.get(list__name="Newsletter")
    assert (subscription.contact.email, subscription.status) == ("Boss@example.com", "subscribed")
    assert ConsentEvent.objects.get().source == "admin: boss"


def test_pasted_people_are_imported_with_how_they_agreed(client: Client) -> None:
    pasted = "Ann Lee <ann@example.com>\nbob@example.com, carl@example.com; not an address"

    answer = client.post(PEOPLE, {"name": "News", "pasted": pasted, "consent": CONSENT}, follow=True)
    started = ContactImport.objects.get()
    said = "1 line of what you pasted is left out, because it&#x27;s no email address: “not an address”."
    assert said in answer.content.decode()
    assert started.file_name == "Pasted addresses"
    import_people(started.pk, timezone.now())

    started.refresh_from_db()
    assert (started.rows_added, started.rows_refused, started.subscribed) == (3, 1, 3)
    assert Contact.objects.get(email="ann@example.com").last_name == "Lee"
    assert set(ConsentEvent.objects.values_list("wording", flat=True)) == {CONSENT}
    assert Subscription.objects.filter(list__name="News").count() == 3


def test_of_many_pasted_lines_without_an_address_the_first_are_named(client: Client) -> None:
    pasted = "ann@example.com\n" + "\n".join(f"word {number}" for number in range(1, 9))

    page = client.post(PEOPLE, {"name": "N", "pasted": pasted, "consent": CONSENT}, follow=True).content.decode()

    assert "8 lines of what you pasted" in page
    assert "“word 5” and 3 more." in page


def test_a_file_goes_on_to_its_columns_with_list_and_consent(client: Client) -> None:
    file = ContentFile(b"email,city\nann@example.com,Bergen\n", "people.csv")

    answer = client.post(PEOPLE, {"name": "News", "consent": CONSENT, "file": file}, follow=True)

    draft = ContactImport.objects.get()
    page = answer.content.decode()
    assert answer.redirect_chain[0][0] == f"/admin/contacts/contactimport/{draft.pk}/columns/"
    assert 'value="News"' in page
    assert CONSENT in page
    assert not ContactList.objects.exists()  # It is made when the import starts.


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": "News", "pasted": "ann@example.com"}, "Say how these people agreed."),
        ({"name": "News", "consent": CONSENT}, "Paste addresses or choose a file"),
        ({"name": "News", "pasted": " ;,\n", "consent": CONSENT}, "Paste at least one email address."),
        ({"name": "", "pasted": "ann@example.com", "consent": CONSENT}, "This field is required."),
        ({"name": "old", "only_me": "on"}, "A list has this name already."),
    ],
    ids=str,
)
def test_what_is_missing_is_said_and_nobody_is_added(client: Client, given: dict[str, str], said: str) -> None:
    ContactList.objects.create(name="Old")

    page = client.post(PEOPLE, given).content.decode()

    assert said in page
    assert (ContactList.objects.count(), Contact.objects.count(), ContactImport.objects.count()) == (1, 0, 0)


def test_pasted_text_is_read_as_people_write_it() -> None:
    assert read("Ann Lee <ann@example.com>, Bob <bob@example.com>\n\ncarl@example.com,dora@example.com;x y") == [
        ("ann@example.com", "Ann", "Lee"),
        ("bob@example.com", "Bob", ""),
        ("carl@example.com", "", ""),
        ("dora@example.com", "", ""),
        ("x y", "", ""),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "gina@example.com, Gina Groß",
        "Gina Groß\tgina@example.com",
        "gina@example.com;Gina;Groß",
        '"Gina","Groß","gina@example.com"',
    ],
)
def test_a_line_of_a_spreadsheet_is_an_address_and_a_name(line: str) -> None:
    assert read(f"{line}\nann@example.com; bob@example.com") == [
        ("gina@example.com", "Gina", "Groß"),
        ("ann@example.com", "", ""),
        ("bob@example.com", "", ""),
    ]
    assert ("Gina Groß, Köln", "", "") not in read("gina@example.com, Gina Groß, Köln")


def test_a_comma_within_a_name_parts_nobody_and_many_commas_take_no_time() -> None:
    assert read("Lee, Ann <ann@example.com>, <bob@example.com>,carl@example.com") == [
        ("ann@example.com", "Ann", "Lee"),
        ("bob@example.com", "", ""),
        ("carl@example.com", "", ""),
    ]
    # A look ahead for each comma would take hours.
    assert len(read(", ".join(f"person{number}@example.com" for number in range(30_000)))) == 30_000
    assert read("," * 1_000_000) == []


def test_the_only_list_is_chosen_for_a_new_campaign(client: Client) -> None:
    made = ContactList.objects.create(name="News")

    client.post("/campaigns/begin/", {"starter": "empty"})
    ContactList.objects.create(name="More")
    client.post("/campaigns/begin/", {"starter": "empty"})

    assert [list(campaign.lists.all()) for campaign in Campaign.objects.order_by("pk")] == [[made], []]


def test_the_steps_are_hidden_for_one_user_and_come_back(client: Client) -> None:
    assert "Hide these steps" in client.get("/admin/").content.decode()

    client.post(HIDE, {"hide": "on"})

    assert "Hide these steps" not in client.get("/admin/").content.decode()
    assert "Show set-up steps" in client.get("/accounts/").content.decode()
    client.post(HIDE)
    assert "Hide these steps" in client.get("/admin/").content.decode()


@pytest.mark.parametrize(
    ("base", "host", "is_told"),
    [
        ("http://localhost:8000", "localhost:8000", False),
        ("http://localhost:8000", "127.0.0.1:8000", False),
        ("http://localhost:8000", "localhost:8001", True),
        ("http://localhost:8000", "mail.example.com", True),
        ("http://mail.example.com", "mail.example.com:80", False),
        ("https://mail.example.com", "mail.example.com", True),
    ],
)
def test_home_warns_where_links_would_lead_elsewhere(
    client: Client, settings: Any, base: str, host: str, is_told: bool
) -> None:
    settings.BASE_URL, settings.ALLOWED_HOSTS = base, ["*"]

    page = client.get("/admin/", headers={"host": host}).content.decode()

    assert (f"this site was opened at http://{host}" in page) is is_told


@pytest.mark.parametrize("role", ["marketer", "ops", "viewer"])
def test_administrators_alone_set_up(db: None, role: str) -> None:
    eve = User.objects.create_user("eve", email="eve@example.com", is_staff=True)
    eve.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(eve)

    assert [client.get(path).status_code for path in (ORGANISATION, SERVER, PEOPLE)] == [403] * 3
    assert [client.post(path, {"only_me": "on", "name": "x"}).status_code for path in (PEOPLE, HIDE)] == [403] * 2
    assert Client().get(PEOPLE)["Location"].startswith("/accounts/login/")
    assert not ContactList.objects.exists()
