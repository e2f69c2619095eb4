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
import dns.rdatatype
import dns.rrset

# A name's records by type; or how the server misbehaves when it is asked for the name.
Zone = Mapping[str, Mapping[str, list[str]] | str]
SILENT, TRUNCATED, TRUNCATED_FOR_EVER = "silent", "truncated", "truncated for ever"
MX: dict[str, list[str]] = {"MX": ["10 mail.customer.example."]}


class Nameserver:
    """A running name server; ``address`` is written as the setting DNS_RESOLVERS takes it."""

    def __init__(self, zone: Zone) -> None:
        self.zone = {name.rstrip("."): records for name, records in zone.items()}
        self.asked: list[tuple[str, str]] = []
        self.address = ""

    def answer(self, wire: bytes, is_tcp: bool) -> bytes | None:
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        response = dns.message.make_response(query)
        records = self.zone.get(name)
        if records == SILENT:
            return None
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
        return response.to_wire(max_size=65535)

    def _add_records(
        self, response: dns.message.Message, name: dns.name.Name, kind: str, records: Mapping[str, list[str]]
    ) -> None:
        for _ in range(5):  # A loop of aliases is cut, as name servers do.
            if "CNAME" not in records:
                break
            target = records["CNAME"][0]
            response.answer.append(dns.rrset.from_text(name, 60, "IN", "CNAME", target))
            name, found = dns.name.from_text(target), self.zone.get(target.rstrip("."), {})
            records = found if not isinstance(found, str) else {}
        if kind in records:
            response.answer.append(dns.rrset.from_text(name, 60, "IN", kind, *records[kind]))


@contextmanager
def running_nameserver(zone: Zone) -> Iterator[Nameserver]:
    nameserver = Nameserver(zone)

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
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), OverTcp) as tcp:
        port = tcp.server_address[1]
        nameserver.address = f"127.0.0.1#{port}"
        with socketserver.UDPServer(("127.0.0.1", port), OverUdp) as udp:
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
