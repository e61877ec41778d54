"""Read a token file again and again, as programs do, and tell what was seen.

``python token_reader.py PATH READS``: reads at least so often, and on until standard input ends.
Tokens look like ``<sha256 of the rest>.<rest>``, so a part of one, or a mixture, is seen.
"""

from __future__ import annotations

import hashlib
import json
import sys
import threading
import time
from collections import Counter
from pathlib import Path


def verdict(content: bytes) -> str:
    """Tell what a file held: ``whole``, ``empty`` or ``partial``."""
    if not content:
        return "empty"
    digest, _, rest = content.partition(b".")
    whole = hashlib.sha256(rest).hexdigest().encode() == digest
    return "whole" if whole else "partial"


def main(path: Path, reads: int) -> None:
    """Read until enough was seen and nobody writes any more."""
    over = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        over.set()

    threading.Thread(target=wait, daemon=True).start()
    seen: Counter[str] = Counter()
    last, changes = b"", 0
    while seen.total() < reads or not over.is_set():
        if seen.total() >= reads:
            time.sleep(0.002)  # the processor is for those who have not seen enough
        try:
            content = path.read_bytes()
        except OSError as error:
            seen[type(error).__name__] += 1
            continue
        if content != last:  # the same bytes need no second judgement
            judged, last, changes = verdict(content), content, changes + 1
        seen[judged] += 1
    print(json.dumps({"seen": seen, "changes": changes}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
