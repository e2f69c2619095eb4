"""``manage.py check_domain``: ask DNS about a domain at once, and say what is wrong with it. Nothing is stored."""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, ProgrammingError
from django.utils import timezone

from domains import rounds, store
from domains.models import DnsFinding, SendingDomain
from mail.addresses import AddressInvalid, check_domain_name, readable_domain
from mail.records.dkim_key import is_selector
from mail.records.finding import Finding, State
from mail.records.transport import PolicySeen

_MARKS = {State.GOOD: "good", State.LOOK: "LOOK", State.BROKEN: "BROKEN", State.UNKNOWN: "unknown"}


class Command(BaseCommand):
    help = "Checks the DNS of a domain that mail is sent from. Ends with 1 if a line is broken."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("domain", help="such as example.com; it need not be one of this installation")
        parser.add_argument("--json", action="store_true", help="print a list of findings, for programs")
        parser.add_argument(
            "--selector", action="append", default=[], metavar="NAME", help="a DKIM selector; may be repeated"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            domain = check_domain_name(options["domain"])
        except AddressInvalid as error:
            raise CommandError(str(error), returncode=2) from None
        for selector in options["selector"]:
            if not is_selector(selector):
                raise CommandError(f"{selector} is not a DKIM selector. Write it as in s1._domainkey.", returncode=2)
        findings = self._look(domain, options["selector"])
        if options["json"]:
            self.stdout.write(json.dumps([finding.as_json() for finding in findings], indent=2))
        else:
            self._print(domain, list(findings))
        if any(finding.state is State.BROKEN for finding in findings):
            sys.exit(1)

    def _look(self, domain: str, typed: list[str]) -> Sequence[Finding]:
        now = timezone.now()
        try:
            known = SendingDomain.objects.filter(name=domain).first()
            selectors = typed or (rounds.selectors_of(known) if known else [])
            sts = store.policy_seen(known) if known else PolicySeen()
            return rounds.look(domain, selectors, now, sts).findings
        except (OperationalError, ProgrammingError):  # No server, or no tables yet.
            self.stderr.write("The database can't be read, so what your servers need isn't checked.")
            return rounds.look_alone(domain, typed, now).findings

    def _print(self, domain: str, findings: list[Finding]) -> None:
        shown = readable_domain(domain)
        self.stdout.write(f"{shown} ({domain})" if shown != domain else domain)
        for finding in findings:
            name = str(DnsFinding.LineName(finding.line.value).label)
            mark = self._colour(finding.state, f"{_MARKS[finding.state]:<8}")
            self.stdout.write(f"\n{mark} {name}: {finding.sentence}")
            for line in finding.seen.splitlines():
                self.stdout.write(f"         {line}")
            if finding.record is not None:
                self.stdout.write(f"         publish: {finding.record}")

    def _colour(self, state: State, text: str) -> str:
        style = {State.GOOD: self.style.SUCCESS, State.LOOK: self.style.WARNING, State.BROKEN: self.style.ERROR}
        return style[state](text) if state in style else text
