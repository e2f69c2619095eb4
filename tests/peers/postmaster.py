"""A scripted Postmaster Tools API (version 2). It checks what a client owes: the token, the questions' shape, paging.

It answers through the scripted token server, which stands for all of Google's hosts.
"""

import datetime as dt
import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.peers.token_server import Answer, Asked, TokenServer

HOST = "/gmailpostmastertools.googleapis.com/v2/"
AUTHENTICATION = ("spf", "dkim", "dmarc")
REASONS = {
    "reject": {
        *("bad_attachment", "bad_or_missing_ptr_record", "ip_in_rbls", "low_domain_reputation", "low_ip_reputation"),
        *("spammy_content", "stamp_policy_error", "other"),
    },
    "temp_fail": {"anomalous_traffic_pattern", "other"},
}


def denied(reason: str = "", message: str = "The caller does not have permission", status: int = 403) -> Answer:
    """Return an error as Google's APIs write it (google.rpc.Status)."""
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}] if reason else []
    return status, {"error": {"code": status, "message": message, "status": "PERMISSION_DENIED", "details": details}}


def _kind(definition: dict[str, Any]) -> str:
    """Return what a metric's definition asks for, as the reference describes its filter."""
    base, filter_ = definition["baseMetric"]["standardMetric"], definition.get("filter", "")
    if base == "SPAM_RATE":
        assert filter_ == ""
        return "spam"
    if base == "AUTH_SUCCESS_RATE":
        return next(kind for kind in AUTHENTICATION if filter_ == f'auth_type = "{kind}"')
    if base == "TLS_ENCRYPTION_RATE":
        assert filter_ == 'traffic_direction = "inbound"'
        return "tls"
    assert base == "DELIVERY_ERROR_RATE"
    for kind, reasons in REASONS.items():
        if filter_ == f'error_type = "{kind}"':
            return kind
        for reason in reasons:
            if filter_ == f'error_type = "{kind}" AND error_reason = "{reason}"':
                return f"{kind}.{reason}"
    raise AssertionError(filter_)


class PostmasterApi:
    def __init__(self, server: TokenServer) -> None:
        self.server = server
        server.api = self.answer
        self.domains: dict[str, dict[str, Any]] = {}
        self.values: dict[tuple[str, dt.date, str], Any] = {}  # By domain, day and kind: a StatisticValue.
        self.requirements: dict[str, dict[str, str]] = {}
        self.page_rows = 7  # It may give fewer than were asked for.
        self.instead: dict[str, list[Answer]] = {}  # By the end of the path: what to answer first.
        self.refused: set[str] = set()  # Tokens that have expired.
        self.asked: list[Asked] = []

    def add(self, domain: str, **values: str) -> None:
        self.domains[domain] = {
            "name": f"domains/{domain}",
            "permission": "OWNER",
            "verificationState": "VERIFIED",
            "createTime": "2026-01-01T00:00:00Z",
            **values,
        }

    def say(self, domain: str, day: dt.date, **shares: float) -> None:
        """Have it know shares of a day, by kind; ``__`` stands for the dot."""
        for kind, share in shares.items():
            self.values[domain, day, kind.replace("__", ".")] = {"doubleValue": share}

    @property
    def paths(self) -> list[str]:
        return [urlsplit(asked.path).path.removeprefix(HOST) for asked in self.asked]

    def answer(self, asked: Asked) -> Answer:
        assert asked.path.startswith(HOST), asked.path
        self.asked.append(asked)
        if asked.token not in self.server.said or asked.token in self.refused:
            return 401, {"error": {"code": 401, "message": "Request had invalid authentication credentials."}}
        path = urlsplit(asked.path).path.removeprefix(HOST)
        for end, answers in self.instead.items():
            if path.endswith(end) and answers:
                return answers.pop(0)
        if path == "domains" and asked.method == "GET":
            return self._list(dict(parse_qsl(urlsplit(asked.path).query)))
        name, _, question = path.removeprefix("domains/").partition("/")
        if name not in self.domains or self.domains[name]["permission"] == "NONE":
            return denied()
        if question == "domainStats:query" and asked.method == "POST":
            return self._query(name, asked.body)
        if question == "complianceStatus" and asked.method == "GET":
            rows = [
                {"requirement": requirement, "status": {"status": status}}
                for requirement, status in self.requirements.get(name, {}).items()
            ]
            return 200, {"name": path, "complianceData": {"domainId": name, "rowData": rows}}
        return 404, {}

    def _list(self, query: dict[str, str]) -> Answer:
        assert 1 <= int(query["pageSize"]) <= 200
        return self._page("domains", list(self.domains.values()), query.get("pageToken", ""))

    def _query(self, domain: str, body: dict[str, Any]) -> Answer:
        assert set(body) <= {"metricDefinitions", "timeQuery", "aggregationGranularity", "pageSize", "pageToken"}
        assert body["aggregationGranularity"] == "DAILY"
        assert body["pageSize"] <= 200
        (period,) = body["timeQuery"]["dateRanges"]["dateRanges"]
        first, last = (dt.date(**period[end]) for end in ("start", "end"))
        kinds = {_kind(one): one["name"] for one in body["metricDefinitions"]}
        assert len(set(kinds.values())) == len(body["metricDefinitions"])
        rows = [
            {
                "name": f"domains/{domain}/domainStats/opaque{number}",
                "metric": kinds[kind],
                "date": {"year": day.year, "month": day.month, "day": day.day},
                "value": value,
            }
            for number, ((of, day, kind), value) in enumerate(sorted(self.values.items(), key=lambda one: one[0]))
            if of == domain and kind in kinds and first <= day <= last
        ]
        return self._page("domainStats", rows, body.get("pageToken", ""))

    def _page(self, name: str, rows: list[Any], token: str) -> Answer:
        start = int(json.loads(token)) if token else 0
        following = start + self.page_rows
        more = {"nextPageToken": json.dumps(following)} if following < len(rows) else {}
        return 200, {**({name: rows[start:following]} if rows else {}), **more}
