"""Domains below which strangers register names, after the Public Suffix List as ``publicsuffixlist`` carries it.

The list has two sections. The ICANN section names the suffixes that registries sell names below (``co.uk``,
``com.lb``). The private section names domains of companies whose customers have names below them (``github.io``,
``kasserver.com``). A question about who may write in a domain's name reads both, a question about who runs a machine
reads the first alone: strangers write below ``github.io``, but one company runs all of its machines.

A domain whose last label is on no list counts as registered directly below that label.
"""

import functools

from publicsuffixlist import PublicSuffixList


def is_public_suffix(domain: str) -> bool:
    """Tell whether strangers have names below ``domain`` (A-label, lower case); both sections are read."""
    return _both_sections().is_public(domain)


def organisational_domain(domain: str) -> str:
    """Return the organisational domain (RFC 7489 section 3.2): ``shop.co.uk`` for ``mail.shop.co.uk``.

    DMARC aligns domains by it, and so does the choice of a server for a From. Both sections are read: customers of
    one hosting company must not pass for each other. A public suffix comes back unchanged.

    :param domain: A-labels, in lower case.
    """
    return _both_sections().privatesuffix(domain) or domain


def registered_domain(host: str) -> str:
    """Return the domain that a registry gave to whoever runs ``host``: ``kasserver.com`` for ``w01.kasserver.com``.

    Only the ICANN section is read. A hosting company receives for all of its customers, on hosts that often have the
    customer's name, and limits what it takes for all of them together. A public suffix comes back unchanged.

    :param host: A-labels, in lower case.
    """
    return _icann_section().privatesuffix(host) or host


# Each takes a tenth of a second and 1.5 MB, so a process reads it when it first needs it.


@functools.cache
def _both_sections() -> PublicSuffixList:
    return PublicSuffixList()


@functools.cache
def _icann_section() -> PublicSuffixList:
    return PublicSuffixList(only_icann=True)
