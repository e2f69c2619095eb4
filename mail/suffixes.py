"""Public suffixes: domains below which strangers register names, from the Public Suffix List in ``publicsuffixlist``.

The list has two sections. The ICANN section has the suffixes of registries (``co.uk``, ``com.lb``). The private section
has domains of companies whose customers get names below them (``github.io``, ``kasserver.com``). Who may send in a
domain's name is decided by both sections; who operates a machine is decided by the ICANN section alone, since one
company operates all machines below ``github.io``.

A domain whose last label is on no list counts as registered directly below that label.
"""

import functools

from publicsuffixlist import PublicSuffixList


def is_public_suffix(domain: str) -> bool:
    """Tell whether strangers have names below ``domain`` (A-label, lower case), by both sections."""
    return _both_sections().is_public(domain)


def organisational_domain(domain: str) -> str:
    """Return the organisational domain (RFC 7489 section 3.2): ``shop.co.uk`` for ``mail.shop.co.uk``.

    DMARC aligns domains by it, and so does the choice of a server for a From. Both sections count: customers of one
    hosting company must not pass for each other. A public suffix is returned unchanged.

    :param domain: A-labels, in lower case.
    """
    return _both_sections().privatesuffix(domain) or domain


def registered_domain(host: str) -> str:
    """Return the registered domain of the operator of ``host``: ``kasserver.com`` for ``w01.kasserver.com``.

    Only the ICANN section counts. A hosting company receives for all its customers, often on hosts with a customer's
    name, and limits its intake for all of them together. A public suffix is returned unchanged.

    :param host: A-labels, in lower case.
    """
    return _icann_section().privatesuffix(host) or host


# Each takes a tenth of a second and 1.5 MB, so it is loaded at first use.


@functools.cache
def _both_sections() -> PublicSuffixList:
    return PublicSuffixList()


@functools.cache
def _icann_section() -> PublicSuffixList:
    return PublicSuffixList(only_icann=True)
