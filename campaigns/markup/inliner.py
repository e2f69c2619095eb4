"""CSS inlining in a separate process with limits on time and memory.

Pasted content may overwhelm the library: a tree so deep that the process dies, so large that it takes all memory, or
style sheets that take minutes. Then only that process ends, and the caller tells the author what to do.
"""

import subprocess
import sys
from functools import lru_cache

MOST_SECONDS = 2  # Processor time; an ordinary newsletter takes a hundredth of it.
MOST_BYTES = 1 << 30  # Memory.
MOST_CHARACTERS = 8_000_000  # Length of the result.
_PATIENCE_SECONDS = 15  # Wall time; a busy machine may need that long.
_REFUSED, _OVERWHELMED = 3, 4  # Exit codes of the process.


class Overwhelmed(ValueError):
    """The document exceeds the limits of the library; its author has to simplify it."""

    def __init__(self) -> None:
        super().__init__(
            "The styles can't be written into this content: it is nested too deeply, or its style sheet has too many"
            " rules for so many elements. Close what is left open, shorten the style sheet, or remove <style>."
        )


@lru_cache(maxsize=8)  # A page builds the same content several times.
def inline(document: str) -> str:
    """Return the library's version of the document, with its CSS rules as ``style`` attributes. Nothing is loaded.

    :raises Overwhelmed: if the document exceeds the library's limits.
    :raises ValueError: if a style sheet cannot be parsed; the text says why.
    """
    command = [sys.executable, "-I", __file__]
    try:
        ended = subprocess.run(  # noqa: S603  # This very file.
            command, input=document.encode(), capture_output=True, timeout=_PATIENCE_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise Overwhelmed from None
    if ended.returncode == _REFUSED:
        raise ValueError(ended.stderr.decode())
    if ended.returncode != 0:
        raise Overwhelmed
    return ended.stdout.decode()


def _work() -> int:
    """Inline the document on standard input, within limits that the operating system enforces."""
    import resource

    import css_inline

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    inliner = css_inline.CSSInliner(
        keep_style_tags=True, remove_inlined_selectors=True, load_remote_stylesheets=False, keep_link_tags=True
    )
    try:
        result = inliner.inline(sys.stdin.buffer.read().decode())
    except (css_inline.InlineError, ValueError) as error:
        sys.stderr.write(str(error))
        return _REFUSED
    if len(result) > MOST_CHARACTERS:
        return _OVERWHELMED
    sys.stdout.buffer.write(result.encode())
    return 0


if __name__ == "__main__":
    sys.exit(_work())
