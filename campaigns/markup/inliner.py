"""Styles written into the elements they fit, by a process of its own.

What somebody pastes may overwhelm the library: a tree so deep that it ends the process, so large that it takes all
memory, style sheets that take minutes. Then only that process ends, and its caller says what to do.
"""

import subprocess
import sys
from functools import lru_cache

MOST_SECONDS = 2  # Of computing; an ordinary newsletter takes a hundredth.
MOST_BYTES = 1 << 30  # Of memory.
MOST_CHARACTERS = 8_000_000  # Of what comes out.
_PATIENCE_SECONDS = 15  # On a machine that is busy with other things.
_REFUSED, _OVERWHELMED = 3, 4  # How the process ends.


class Overwhelmed(ValueError):
    """The library could not cope with the document; whoever wrote it has to simplify it."""

    def __init__(self) -> None:
        super().__init__(
            "The styles cannot be written into this content: it is nested too deeply, or its style sheet has too many"
            " rules for so many elements. Close what is left open, shorten the style sheet, or remove <style>."
        )


@lru_cache(maxsize=8)  # A page builds the same content several times.
def inline(document: str) -> str:
    """Return the document as the library writes it, with its rules in ``style`` attributes; nothing is loaded.

    :raises Overwhelmed: if the document is too much for the library.
    :raises ValueError: if its style sheets cannot be understood; the text says why.
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
    """Inline what comes in, within limits that the system keeps."""
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
