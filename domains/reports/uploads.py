"""Reports that somebody uploads. A higher room has the process for hostile bytes, and registers how it reads them."""

from collections.abc import Callable

from mail.aggregates.report import DomainReport
from registry import Registry

# From the bytes of a file to its report; raises ReportInvalid.
READERS: Registry[Callable[[bytes], DomainReport]] = Registry()


def read(content: bytes) -> DomainReport:
    """Return the report in a file.

    :raises ReportInvalid: if it is none, or exceeds a limit.
    """
    reader = next(iter(READERS.values()))
    return reader(content)
