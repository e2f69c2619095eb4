"""Segments by opens and clicks: who did, who is known not to have done it, and of whom nobody knows."""

import datetime as dt
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from campaigns.models import Campaign
from contacts.consent import tracking
from contacts.models import ConsentEvent, Contact
from contacts.segments import query
from contacts.segments.conditions import ConditionsInvalid, Group, describe
from delivery.models import Mailing, Message, TrackedLink, TrackedTarget
from feedback.models import FirstVisit, PendingVisit, Visit
from feedback.visits.counts import note_gap

NOW = dt.datetime(2026, 11, 30, 23, 59, 30, tzinfo=dt.UTC)
SHOP, BLOG = "https://shop.example.com/sale_50%?utm_source=a", "https://blog.example.com/"


def days_ago(days: float) -> dt.datetime:
    return NOW - dt.timedelta(days=days)


def person(name: str, agreed: float | None = 300, refused: float | None = None) -> Contact:
    """Store a person who agreed so many days ago, and refused since."""
    contact = Contact.objects.create(email=f"{name}@example.com")
    wishes = {tracking.OPENS: True, tracking.CLICKS: True}
    if agreed is not None:
        tracking.decide(contact.pk, wishes, method="form", source="test", now=days_ago(agreed))
    if refused is not None:
        wishes = dict.fromkeys(wishes, False)
        tracking.decide(contact.pk, wishes, method="preferences", source="test", now=days_ago(refused))
    return contact


def campaign(name: str, days: float, level: str = "personal", links: tuple[tuple[str, str], ...] = ()) -> Campaign:
    """Store a campaign that began so many days ago, with a link for each pair of text and URL."""
    mailing = Mailing.objects.create(stream="campaign", name=name, subject="x", tracking=level)
    Mailing.objects.filter(pk=mailing.pk).update(created_at=days_ago(days))
    for position, (label, url) in enumerate(links, 1):
        link = TrackedLink.objects.create(mailing=mailing, part="html", position=position, label=label)
        TrackedTarget.objects.create(link=link, url=url, url_hash="x", code=f"{link.pk:08}")
    return Campaign.objects.create(name=name, mailing=mailing)


TWO = (("Buy now", SHOP), ("Read on", BLOG))


def send(about: Campaign, contact: Contact, days: float, status: str = "accepted", **more: Any) -> Message:
    return Message.objects.create(
        mailing=about.mailing,
        contact=contact,
        email=contact.email,
        email_key=contact.email_key,
        status=status,
        changed_at=days_ago(days),
        **more,
    )


def visit(message: Message, days: float, kind: str = "click", visitor: str = "human", link: int | None = 1) -> None:
    """Store a visit as judging does: the visit, and the first of its kind at all and through its link."""
    place = TrackedLink.objects.get(mailing=message.mailing, position=link) if kind == "click" else None
    at = days_ago(days)
    Visit.objects.create(
        message=message, link=place, kind=kind, visitor=visitor, reason="person", family="chrome", at=at
    )
    for link_id in {0, place.pk if place else 0}:
        FirstVisit.objects.get_or_create(
            message=message, kind=kind, link_id=link_id, visitor=visitor, defaults={"at": at}
        )


def wait(message: Message, days: float, kind: str = "click", link: int = 1, **more: Any) -> PendingVisit:
    """Store a visit that waits for its verdict."""
    place = TrackedLink.objects.get(mailing=message.mailing, position=link) if kind == "click" else None
    return PendingVisit.objects.create(
        mailing=message.mailing,
        message=message,
        link=place,
        kind=kind,
        facts=[kind, "reader", "chrome", False, False, False],
        loads=1,
        at=days_ago(days),
        due_at=days_ago(days) + dt.timedelta(minutes=5),
        **more,
    )


def found(asked: dict[str, Any], match: str = "all") -> str:
    """Return the first letters of the people who meet the condition, a bar, and of those of whom nobody knows."""
    group = query.check(json.loads(json.dumps({"match": match, "conditions": [asked]})))
    return _letters_of(group)


def _letters_of(group: Group) -> str:
    met = query.people(group, NOW).values_list("email", flat=True)
    unknown = [email for email, is_met in query.outcomes(group, NOW).values_list("email", "is_met") if is_met is None]
    return "|".join("".join(sorted(email[0] for email in emails)) for emails in (met, unknown))


@pytest.fixture(autouse=True)
def counting(settings: Any) -> None:
    settings.TRACKING_LEVEL = "personal"


@pytest.fixture
def sale(db: None) -> Campaign:
    """Nine people of whom each has a reason of their own to be in one segment and not in the other."""
    sale = campaign("Sale", 10, links=TWO)
    visit(send(sale, person("ann"), 10), 9)  # Clicked the first link.
    send(sale, person("bea"), 10)  # Did nothing.
    send(sale, person("cleo", agreed=None), 10)  # Was never asked.
    visit(send(sale, person("dora", refused=5), 10), 9)  # Clicked, and withdrew her consent since.
    send(sale, person("eve", agreed=8), 10)  # Agreed after the campaign began.
    visit(send(sale, person("fay"), 10), 9, visitor="machine")  # Only her employer's scanner clicked.
    visit(send(sale, person("gus"), 10), 9, visitor="unknown")  # A person or a scanner clicked.
    send(sale, person("hal"), 10, status="bounced")  # Never got it.
    person("ida")  # Was not meant.
    return sale


CASES = [
    ({"operator": "clicked"}, "a|cdeg", "bfhi|cdeg"),
    ({"operator": "clicked_not"}, "bf|cdeg", "ahi|cdeg"),
    ({"operator": "clicked", "counted": "unknown"}, "ag|cde", "bfhi|cde"),
    ({"operator": "clicked_not", "counted": "unknown"}, "bf|cde", "aghi|cde"),
    ({"operator": "clicked", "label": "BUY"}, "a|cdeg", "bfhi|cdeg"),
    ({"operator": "clicked", "label": "read"}, "|cde", "abfghi|cde"),
    ({"operator": "clicked_not", "label": "read"}, "abfg|cde", "hi|cde"),
    ({"operator": "clicked", "url": "sale_50%?UTM"}, "a|cdeg", "bfhi|cdeg"),
    ({"operator": "clicked", "url": "sale-50"}, "|", "abcdefghi|"),  # An underscore is no wildcard.
    ({"operator": "clicked", "label": "buy", "url": "blog"}, "|", "abcdefghi|"),  # Of one link.
    ({"operator": "clicked_not", "label": "Imprint"}, "|", "abcdefghi|"),  # No link to click.
    ({"operator": "clicked", "days": 11}, "a|cdeg", "bfhi|cdeg"),
    ({"operator": "clicked", "days": 9}, "|", "abcdefghi|"),
    ({"operator": "clicked_not", "days": 9}, "|", "abcdefghi|"),
    ({"operator": "since_not", "date": "2026-11-15"}, "bf|cdeg", "ahi|cdeg"),
    ({"operator": "since_not", "date": "2026-11-15", "counted": "unknown"}, "bf|cde", "aghi|cde"),
    ({"operator": "since_not", "date": "2026-11-22"}, "|", "abcdefghi|"),
    ({"operator": "latest_not", "number": 1}, "bf|cdeg", "ahi|cdeg"),
    ({"operator": "latest_not", "number": 2}, "|", "abcdefghi|"),
]


@pytest.mark.parametrize(("asked", "meet", "meet_not"), CASES)
def test_people_of_whom_nobody_knows_meet_neither_a_condition_nor_its_opposite(
    sale: Campaign, asked: dict[str, Any], meet: str, meet_not: str
) -> None:
    assert found({"field": "clicks", **asked}) == meet
    assert found({"field": "clicks", **asked}, "none") == meet_not


def test_one_campaign_is_asked_about(sale: Campaign) -> None:
    other = campaign("Other", 3, links=TWO)
    people = {contact.email[0]: contact for contact in Contact.objects.all()}
    visit(send(other, people["b"], 3), 2)
    send(other, people["i"], 3)

    def asked(about: Campaign, operator: str) -> str:
        return found({"field": "clicks", "operator": operator, "campaign": about.pk})

    assert (asked(sale, "clicked"), asked(other, "clicked")) == ("a|cdeg", "b|")
    assert (asked(sale, "clicked_not"), asked(other, "clicked_not")) == ("bf|cdeg", "i|")


def test_opens_have_a_consent_and_visits_of_their_own(sale: Campaign) -> None:
    people = {contact.email[0]: contact for contact in Contact.objects.all()}
    tracking.decide(people["f"].pk, {tracking.OPENS: False}, method="form", source="test", now=days_ago(1))
    visit(Message.objects.get(contact=people["b"]), 9, kind="open")
    visit(Message.objects.get(contact=people["g"]), 9, kind="open", visitor="unknown")

    assert found({"field": "opens", "operator": "opened"}) == "b|cdefg"
    assert found({"field": "opens", "operator": "opened_not"}) == "a|cdefg"
    assert found({"field": "opens", "operator": "opened", "counted": "unknown"}) == "bg|cdef"
    assert found({"field": "clicks", "operator": "clicked_not"}) == "bf|cdeg"


@pytest.mark.parametrize(
    ("level", "links", "expected"),
    [
        ("personal", TWO, "b|"),
        ("personal", (), "|"),
        ("anonymous", TWO, "|b"),
        ("anonymous", (), "|"),
        ("off", (), "|b"),
    ],
)
def test_nobody_is_called_silent_whose_clicks_could_not_be_seen(
    db: None, level: str, links: tuple[tuple[str, str], ...], expected: str
) -> None:
    send(campaign("Sale", 10, level, links), person("bea"), 10)

    assert found({"field": "clicks", "operator": "clicked_not"}) == expected
    assert found({"field": "clicks", "operator": "latest_not", "number": 1}) == expected


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"operator": "clicked_not"}, "|b"),
        ({"operator": "latest_not", "number": 1}, "|b"),
        ({"operator": "since_not", "date": "2026-11-15"}, "|b"),
        ({"operator": "clicked_not", "label": "buy"}, "b|"),  # The other link has another text.
        ({"operator": "clicked_not", "label": "account"}, "|b"),
        ({"operator": "clicked_not", "url": "shop.example"}, "|b"),  # It may lead there.
        ({"operator": "clicked"}, "|b"),
    ],
)
def test_who_could_follow_a_link_unseen_is_not_called_silent(db: None, asked: dict[str, Any], expected: str) -> None:
    sale = campaign("Sale", 10, links=TWO)
    TrackedLink.objects.create(mailing=sale.mailing, part="html", position=3, label="Your account", is_counted=False)
    send(sale, person("bea"), 10)

    assert found({"field": "clicks", **asked}) == expected
    assert found({"field": "opens", "operator": "opened_not"}) == "b|"


def test_a_campaign_whose_links_all_lead_away_unseen_asks_its_people(db: None) -> None:
    sale = campaign("Sale", 10)
    TrackedLink.objects.create(mailing=sale.mailing, part="html", position=1, label="Your account", is_counted=False)
    send(sale, person("bea"), 10)

    assert found({"field": "clicks", "operator": "clicked_not"}, "none") == "|b"


@pytest.mark.parametrize(("days", "expected"), [(9, "|b"), (11, "b|")])
def test_nobody_is_called_silent_who_could_have_clicked_while_nobody_was_counted_by_name(
    db: None, days: float, expected: str
) -> None:
    send(campaign("Sale", 10, links=TWO), person("bea"), 10)
    note_gap(days_ago(days))

    assert found({"field": "clicks", "operator": "clicked_not"}) == expected
    assert found({"field": "opens", "operator": "opened_not"}) == expected


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"field": "clicks", "operator": "clicked"}, "a|bcdeg"),
        ({"field": "clicks", "operator": "clicked_not"}, "f|bcdeg"),
        ({"field": "clicks", "operator": "clicked_not", "counted": "unknown"}, "f|bcde"),
        ({"field": "clicks", "operator": "clicked_not", "label": "read"}, "afg|bcde"),
        ({"field": "clicks", "operator": "clicked_not", "label": "buy"}, "bf|cdeg"),
        ({"field": "clicks", "operator": "since_not", "date": "2026-11-15"}, "f|bcdeg"),
        ({"field": "clicks", "operator": "latest_not", "number": 1}, "f|bcdeg"),
        ({"field": "opens", "operator": "opened_not"}, "fg|abcde"),
    ],
)
def test_whose_click_waits_for_its_verdict_is_not_called_silent(
    sale: Campaign, asked: dict[str, Any], expected: str
) -> None:
    message = {each.contact.email[0]: each for each in Message.objects.select_related("contact") if each.contact}
    wait(message["b"], 0, link=2)
    wait(message["a"], 0)  # Clicked before: nothing that comes changes it.
    for letter in "af":
        wait(message[letter], 0, is_judged=True)

    assert found(asked) == expected


def test_an_open_that_waits_says_nothing_of_clicks(sale: Campaign) -> None:
    wait(Message.objects.get(contact__email__startswith="bea"), 0, kind="open")

    assert found({"field": "clicks", "operator": "clicked_not"}) == "bf|cdeg"
    assert found({"field": "opens", "operator": "opened_not"}) == "afg|bcde"


def test_a_click_in_older_mail_that_waits_may_be_one_since(db: None) -> None:
    old, new, bea = campaign("Old", 60, links=TWO), campaign("New", 10, links=TWO), person("bea")
    message = send(old, bea, 60)
    send(new, bea, 10)

    wait(message, 0)

    assert found({"field": "clicks", "operator": "since_not", "date": "2026-11-10"}) == "|b"


def test_one_campaign_that_nobody_could_see_makes_the_person_not_known(sale: Campaign) -> None:
    hidden = campaign("Hidden", 3, "anonymous", TWO)
    for letter in "ab":
        send(hidden, Contact.objects.get(email__startswith=letter), 3)

    assert found({"field": "clicks", "operator": "clicked"}) == "a|bcdeg"
    assert found({"field": "clicks", "operator": "clicked_not"}) == "f|bcdeg"


def test_nothing_is_known_while_the_installation_counts_nobody_by_name(sale: Campaign, settings: Any) -> None:
    settings.TRACKING_LEVEL = "anonymous"

    assert found({"field": "clicks", "operator": "clicked"}) == "|abcdefg"


def test_mail_that_somebody_else_got_asks_nobody(db: None) -> None:
    sale, bea = campaign("Sale", 10, links=TWO), person("bea")
    send(sale, bea, 10, redirected_to="unknown@example.com")

    assert found({"field": "clicks", "operator": "clicked_not"}) == "|"


def test_clicks_in_older_mail_are_clicks_since(db: None) -> None:
    old, new, bea = campaign("Old", 60, links=TWO), campaign("New", 10, links=TWO), person("bea")
    message = send(old, bea, 60)
    send(new, bea, 10)
    visit(message, 55)
    assert found({"field": "clicks", "operator": "since_not", "date": "2026-11-10"}) == "b|"

    visit(message, 9)
    assert found({"field": "clicks", "operator": "since_not", "date": "2026-11-10"}) == "|"


def test_the_latest_campaigns_end_at_the_last_click(db: None) -> None:
    bea = person("bea")
    campaigns = [campaign(f"No {number}", 30 - number, links=TWO) for number in range(5)]
    messages = [send(each, bea, 30 - number) for number, each in enumerate(campaigns)]
    visit(messages[1], 20)

    assert found({"field": "clicks", "operator": "latest_not", "number": 3}) == "b|"
    assert found({"field": "clicks", "operator": "latest_not", "number": 4}) == "|"
    assert found({"field": "clicks", "operator": "latest_not", "number": 4}, "none") == "b|"

    Mailing.objects.filter(pk=messages[4].mailing_id).update(tracking="anonymous")
    assert found({"field": "clicks", "operator": "latest_not", "number": 3}) == "|b"


def test_visits_that_retention_deleted_are_not_known(db: None, settings: Any) -> None:
    old = campaign("Old", 500, links=TWO)
    send(old, person("bea", agreed=600), 500)
    asked = {"field": "clicks", "operator": "clicked_not", "campaign": old.pk}

    assert found(asked) == "|b"
    settings.RETAIN_FEEDBACK_MONTHS = 0  # Kept for good.
    assert found(asked) == "b|"


def test_a_group_is_known_where_one_of_its_conditions_decides_it(sale: Campaign) -> None:
    clicked = {"field": "clicks", "operator": "clicked"}
    cleo = {"field": "email", "operator": "starts", "text": "cleo"}

    def both(match: str) -> str:
        group = query.check({"match": match, "conditions": [clicked, cleo]})
        return _letters_of(group)

    assert (both("all"), both("any"), both("none")) == ("|c", "ac|deg", "bfhi|deg")


def test_nested_groups_agree_with_the_outcome_of_each_person(sale: Campaign) -> None:
    """Kleene's logic, person by person: true, false or None."""
    singles = [{"field": "clicks", **asked} for asked, _, _ in CASES]
    singles += [{"field": "email", "operator": "contains", "text": letter} for letter in "abcdefgh"]
    chance = random.Random(7)

    def group(depth: int) -> dict[str, Any]:
        members = [
            group(depth - 1) if depth and chance.random() < 0.4 else chance.choice(singles)
            for _ in range(chance.randrange(1, 4))
        ]
        return {"match": chance.choice(["all", "any", "none"]), "conditions": members}

    known: dict[str, dict[str, bool | None]] = {}
    for single in singles:
        true, false = (_letters({"match": match, "conditions": [single]}) for match in ("all", "none"))
        outcomes = {letter: True if letter in true else False if letter in false else None for letter in "abcdefghi"}
        known[json.dumps(single)] = outcomes

    def outcome(asked: dict[str, Any], letter: str) -> bool | None:
        if "match" not in asked:
            return known[json.dumps(asked)][letter]
        found = [outcome(member, letter) for member in asked["conditions"]]
        if asked["match"] == "none":
            found = [None if each is None else not each for each in found]
        decisive = asked["match"] == "any"
        return decisive if decisive in found else None if None in found else not decisive

    for _ in range(60):
        asked = group(2)
        expected = {letter for letter in "abcdefghi" if outcome(asked, letter)}
        assert _letters(asked) == expected, asked


def _letters(asked: dict[str, Any]) -> set[str]:
    return {email[0] for email in query.people(query.check(asked), NOW).values_list("email", flat=True)}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"field": "clicks", "operator": "clicked"}, "Clicked a link in a campaign"),
        (
            {"field": "clicks", "operator": "clicked", "campaign": "Sale", "label": "Buy", "counted": "unknown"},
            "Clicked a link with the text “Buy” in “Sale”, unknown visits included",
        ),
        (
            {"field": "clicks", "operator": "clicked_not", "days": 30, "url": "/sale", "label": "Buy"},
            "Was sent a campaign of the last 30 days and did not click a link with the text “Buy” to a URL with"
            " “/sale”",
        ),
        (
            {"field": "clicks", "operator": "since_not", "date": "2026-03-01"},
            "Was sent a campaign since 2026-03-01 and has not clicked since",
        ),
        (
            {"field": "clicks", "operator": "latest_not", "number": 5},
            "Was sent 5 campaigns or more and clicked none of the latest 5",
        ),
        ({"field": "opens", "operator": "opened", "campaign": "Sale"}, "Opened “Sale” (estimate)"),
        (
            {"field": "opens", "operator": "opened_not", "days": 1},
            "Was sent a campaign of the last day and did not open it (estimate)",
        ),
    ],
)
def test_conditions_read_as_sentences(sale: Campaign, asked: dict[str, Any], expected: str) -> None:
    if "campaign" in asked:
        asked = {**asked, "campaign": sale.pk}

    assert describe(query.check({"match": "all", "conditions": [asked]}), query.vocabulary()) == expected


@pytest.mark.parametrize(
    "hostile",
    [
        {"operator": "clicked", "campaign": 10**30},
        {"operator": "clicked", "campaign": True},
        {"operator": "clicked", "days": -1},
        {"operator": "clicked", "days": 10**9},
        {"operator": "clicked", "label": "a\0b"},
        {"operator": "clicked", "url": "x" * 1_001},
        {"operator": "clicked", "url": ["x"]},
        {"operator": "clicked", "counted": "machine"},
        {"operator": "clicked", "counted": True},
        {"operator": "clicked", "date": "2026-03-01"},
        {"operator": "since_not", "date": "yesterday"},
        {"operator": "since_not"},
        {"operator": "latest_not", "number": 0},
        {"operator": "latest_not", "number": 2.5},
        {"operator": "latest_not", "number": 10**6},
        {"operator": "opened"},
    ],
)
def test_conditions_that_nobody_can_build_are_refused(sale: Campaign, hostile: dict[str, Any]) -> None:
    with pytest.raises(ConditionsInvalid):
        query.check({"match": "all", "conditions": [{"field": "clicks", **hostile}]})


def test_the_builder_says_how_many_are_not_known(sale: Campaign, client: Client, django_user_model: Any) -> None:
    client.force_login(django_user_model.objects.create_superuser("root", "root@example.com", "x"))

    def preview(condition: dict[str, Any]) -> str:
        conditions = json.dumps({"match": "all", "conditions": [condition]})
        answer = client.post(reverse("admin:contacts_segment_preview"), {"conditions": conditions})
        return answer.json()["sentence"]

    sentence = preview({"field": "clicks", "operator": "clicked_not", "campaign": sale.pk})
    assert sentence.startswith("2 of 9 people meet the conditions. 4 more are not known:")
    assert preview({"field": "email", "operator": "contains", "text": "ann"}) == "1 of 9 people meets the conditions."


@pytest.mark.postgres
@pytest.mark.parametrize("outcome", ["meet", "unknown"])
def test_what_grows_with_the_mail_is_looked_up_by_person(sale: Campaign, outcome: str) -> None:
    """No condition reads all messages, visits or consents: each is found in an index."""
    growing = {
        "delivery_message",
        "feedback_firstvisit",
        "feedback_visit",
        "feedback_pendingvisit",
        "contacts_consentevent",
    }
    seen: set[str] = set()
    crowd = Contact.objects.bulk_create(
        Contact(email=f"x{number}@example.com", email_key=f"x{number}@example.com", click_tracking="yes")
        for number in range(500)
    )
    for about in [campaign(f"No {number}", 50, links=TWO) for number in range(5)]:
        mail = [
            Message(mailing=about.mailing, contact=each, email=each.email, email_key=each.email_key, status="accepted")
            for each in crowd
        ]
        visits = [
            FirstVisit(message=each, kind="click", visitor="human", at=NOW)
            for each in Message.objects.bulk_create(mail)
        ]
        FirstVisit.objects.bulk_create(visits)
        Visit.objects.bulk_create(Visit(message=each.message, kind="click", visitor="human", at=NOW) for each in visits)
        PendingVisit.objects.bulk_create(
            PendingVisit(
                mailing=about.mailing, message=each.message, kind="click", facts=[], loads=1, at=NOW, due_at=NOW
            )
            for each in visits
        )
    ConsentEvent.objects.bulk_create(
        ConsentEvent(contact=each, topic="clicks", status="yes", method="form", at=NOW) for each in crowd
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        for asked, _, _ in [*CASES, ({"operator": "clicked_not", "campaign": sale.pk}, "", "")]:
            group = query.check({"match": "all", "conditions": [{"field": "clicks", **asked}]})
            people = query.people(group, NOW) if outcome == "meet" else query.outcomes(group, NOW)
            sql, parameters = people.query.sql_with_params()
            cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", parameters)
            for node in _nodes(cursor.fetchone()[0][0]["Plan"]):
                if node.get("Relation Name") in growing:
                    seen.add(node["Relation Name"])
                    assert "Index Cond" in node or "Recheck Cond" in node, (asked, node)
    assert seen == growing


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def test_many_people_are_asked_about_in_one_query(sale: Campaign, django_assert_num_queries: Any) -> None:
    for asked, _, _ in CASES:
        group = query.check({"match": "all", "conditions": [{"field": "clicks", **asked}]})
        with django_assert_num_queries(1):
            list(query.people(group, NOW))


@pytest.mark.parametrize(("asked", "meet", "meet_not"), CASES)
@pytest.mark.parametrize("match", ["all", "none"])
def test_everybody_is_looked_at_once_to_be_counted(
    sale: Campaign, asked: dict[str, Any], meet: str, meet_not: str, match: str
) -> None:
    group = query.check({"match": match, "conditions": [{"field": "clicks", **asked}]})

    with CaptureQueriesContext(connection) as queries:
        counted = query.count(group, NOW)

    assert counted == tuple(map(len, (meet if match == "all" else meet_not).split("|")))
    (only,) = (each["sql"] for each in queries)
    assert only.count('FROM "feedback_countinggap"') == 1
