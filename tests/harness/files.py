"""Small files that are what they say, for tests of uploads."""

import io
import zipfile

_OBJECTS = (
    b"<< /Type /Catalog /Pages 2 0 R >>",
    b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
    b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] >>",
)


def pdf(comment: bytes = b"") -> bytes:
    """Return a PDF of one empty page, with a comment behind its first line."""
    content = b"%PDF-1.7\n" + (b"%" + comment + b"\n" if comment else b"")
    places = []
    for number, written in enumerate(_OBJECTS, 1):
        places.append(len(content))
        content += b"%d 0 obj\n%b\nendobj\n" % (number, written)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"trailer\n<< /Size 4 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % len(content)
    return content + b"xref\n0 4\n0000000000 65535 f \n" + table + end


def archive(*names: str, first: tuple[str, str] | None = None) -> bytes:
    """Return a ZIP archive of small files with these names; the first one may have a content."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        if first:
            file.writestr(*first)
        for name in names:
            file.writestr(name, "x")
    return stream.getvalue()
