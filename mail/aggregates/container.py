"""The containers of reports: gzip, zip with one file, or none. Unpacking is limited, so that a bomb ends early."""

import io
import zipfile
import zlib

MOST_PACKED_BYTES = 10 << 20
MOST_BYTES = 50 << 20  # Unpacked.
MOST_RATIO = 200
_PIECE = 64 << 10
_GZIP_OR_ZLIB = 47  # Which of the two a stream is, zlib finds out itself. Some reporters send zlib with a gzip name.
_STORED_OR_DEFLATED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1  # The flag of a zip entry.


class ReportInvalid(ValueError):
    """A report cannot be read; the text is a sentence for operators."""


def unpack(content: bytes) -> bytes:
    """Return the report within a container; content without one is returned as it is.

    :raises ReportInvalid: if it exceeds a limit, or is broken.
    """
    if len(content) > MOST_PACKED_BYTES:
        raise ReportInvalid(f"The report has more than {MOST_PACKED_BYTES >> 20} MiB.")
    if content.startswith(b"PK\x03\x04"):
        return _unzip(content)
    if content.startswith(b"\x1f\x8b") or _is_zlib(content):
        return _inflate(content)
    return content


def _is_zlib(content: bytes) -> bool:
    """Tell whether content begins as a zlib stream does (RFC 1950 section 2.2)."""
    return len(content) > 2 and content[0] == 0x78 and int.from_bytes(content[:2]) % 31 == 0


def _inflate(content: bytes) -> bytes:
    stream = zlib.decompressobj(_GZIP_OR_ZLIB)
    pieces: list[bytes] = []
    size = 0
    rest = content
    try:
        while rest and not stream.eof:
            pieces.append(stream.decompress(rest, _PIECE))
            size += len(pieces[-1])
            _check_size(size, len(content))
            rest = stream.unconsumed_tail
    except zlib.error:
        raise ReportInvalid("The compressed report is broken.") from None
    if not stream.eof:
        raise ReportInvalid("The compressed report ends too early.")
    return b"".join(pieces)


def _unzip(content: bytes) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            files = [entry for entry in archive.infolist() if not entry.is_dir()]
            if len(files) != 1:
                raise ReportInvalid(f"The zip file has {len(files)} files, and a report is one file.")
            entry = files[0]
            if entry.flag_bits & _ENCRYPTED or entry.compress_type not in _STORED_OR_DEFLATED:
                raise ReportInvalid("The zip file is encrypted, or compressed in an unusual way.")
            _check_size(entry.file_size, len(content))
            pieces: list[bytes] = []
            size = 0
            with archive.open(entry) as file:
                while piece := file.read(_PIECE):
                    pieces.append(piece)
                    size += len(piece)
                    _check_size(size, len(content))
            return b"".join(pieces)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, RuntimeError, UnicodeDecodeError):
        raise ReportInvalid("The zip file is broken.") from None


def _check_size(size: int, packed: int) -> None:
    if size > MOST_BYTES:
        raise ReportInvalid(f"The report has more than {MOST_BYTES >> 20} MiB when it is unpacked.")
    if size > MOST_RATIO * packed:
        raise ReportInvalid(f"The report is more than {MOST_RATIO} times its size when it is unpacked.")
