"""A name server on this machine that answers by a table and remembers what it was asked, over UDP and TCP."""

import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from dns.rdtypes.ANY.TXT import TXT

# A name's records by type; or how the server misbehaves when it is asked for the name.
Records = Mapping[str, list[str] | list[bytes]]
Zone = Mapping[str, Records | str]
SILENT, TRUNCATED, TRUNCATED_FOR_EVER = "silent", "truncated", "truncated for ever"
GARBAGE, BOMB = "garbage", "bomb"  # Octets that are no answer; names that point at each other.
UDP_OCTETS = 4096  # A longer answer is truncated, and asked for again over TCP.
MX: dict[str, list[str]] = {"MX": ["10 mail.customer.example."]}


class Nameserver:
    """A running name server; ``address`` is written as the setting DNS_RESOLVERS takes it."""

    def __init__(self, zone: Zone, *, is_authoritative: bool = False) -> None:
        self.is_authoritative = is_authoritative
        self.zone = {name.rstrip("."): records for name, records in zone.items()}
        self.asked: list[tuple[str, str]] = []
        self.address = ""

    def answer(self, wire: bytes, is_tcp: bool) -> bytes | None:
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        response = dns.message.make_response(query)
        if self.is_authoritative:
            response.flags |= dns.flags.AA
        records = self.zone.get(name)
        if records == SILENT:
            return None
        if records == GARBAGE:
            return wire[:2] + b"\xff" * 40
        if records == BOMB:
            # 1,000 answers, each with a name that is a pointer to itself.
            answers = 1_000
            head = wire[:2] + b"\x81\x80\x00\x01" + answers.to_bytes(2, "big") + b"\x00\x00\x00\x00"
            asked = question.name.to_wire() + question.rdtype.to_bytes(2, "big") + b"\x00\x01"
            at = len(head) + len(asked)
            return head + asked + (0xC000 | at).to_bytes(2, "big") * (answers * 6)
        if records in (TRUNCATED, TRUNCATED_FOR_EVER):
            if not is_tcp:
                response.flags |= dns.flags.TC
                return response.to_wire()
            if records == TRUNCATED_FOR_EVER:
                return None
            records = MX
        if isinstance(records, str):
            response.set_rcode(dns.rcode.from_text(records))
        elif records is None:
            response.set_rcode(dns.rcode.NXDOMAIN)
        else:
            self._add_records(response, question.name, kind, records)
        whole = response.to_wire(max_size=65535)
        if not is_tcp and len(whole) > UDP_OCTETS:
            response.answer.clear()
            response.flags |= dns.flags.TC
            return response.to_wire()
        return whole

    def _add_records(self, response: dns.message.Message, name: dns.name.Name, kind: str, records: Records) -> None:
        for _ in range(5):  # A loop of aliases is cut, as name servers do.
            if "CNAME" not in records:
                break
            target = str(records["CNAME"][0])
            response.answer.append(dns.rrset.from_text(name, 60, "IN", "CNAME", target))
            name, found = dns.name.from_text(target), self.zone.get(target.rstrip("."), {})
            records = found if not isinstance(found, str) else {}
        if records.get(kind) and kind != "CNAME":
            response.answer.append(_rrset(name, kind, records[kind]))


def _rrset(name: dns.name.Name, kind: str, values: list[str] | list[bytes]) -> dns.rrset.RRset:
    """Return records; the text of a TXT record is written as it is, without quotes, and split into its strings."""
    if kind != "TXT":
        return dns.rrset.from_text(name, 60, "IN", kind, *values)
    octets = (value.encode() if isinstance(value, str) else value for value in values)
    strings = ([one[start : start + 255] for start in range(0, len(one), 255)] or [b""] for one in octets)
    texts = (TXT(dns.rdataclass.IN, dns.rdatatype.TXT, each) for each in strings)
    return dns.rrset.from_rdata(name, 60, *texts)


@contextmanager
def running_nameserver(
    zone: Zone, *, host: str = "127.0.0.1", port: int = 0, is_authoritative: bool = False
) -> Iterator[Nameserver]:
    nameserver = Nameserver(zone, is_authoritative=is_authoritative)

    class OverUdp(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            wire, udp = self.request
            if (response := nameserver.answer(wire, is_tcp=False)) is not None:
                udp.sendto(response, self.client_address)

    class OverTcp(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            length = int.from_bytes(self.rfile.read(2), "big")
            if length and (response := nameserver.answer(self.rfile.read(length), is_tcp=True)) is not None:
                self.wfile.write(len(response).to_bytes(2, "big") + response)

    # TCP first: its ports are also those of everybody's connections, and hardly anybody here uses UDP.
    with socketserver.ThreadingTCPServer((host, port), OverTcp) as tcp:
        port = tcp.server_address[1]
        nameserver.address = f"{host}#{port}"
        with socketserver.UDPServer((host, port), OverUdp) as udp:
            tcp.daemon_threads = True
            servers: list[Any] = [udp, tcp]
            threads = [threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True) for server in servers]
            for thread in threads:
                thread.start()
            try:
                yield nameserver
            finally:
                for server in servers:
                    server.shutdown()
