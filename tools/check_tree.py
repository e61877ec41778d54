"""Hold the house rules that no other linter knows.

- no module over 300 lines without a reason listed here;
- no ``utils.py``, no binary, nothing generated, no registry host or private path in a lock file.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

LIMIT = 300
LONGER_BECAUSE: dict[str, str] = {}
PICTURES = {".png", ".svg", ".ico"}
LOCKS = ("requirements/", "requirements.txt", "package-lock.json")


def tracked() -> list[Path]:
    """List the files that are, or would be, committed."""
    out = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [Path(name) for name in out.split("\0") if name and Path(name).is_file()]


def problems(path: Path) -> list[str]:
    """Return what is wrong with one file, in sentences."""
    found = []
    if path.suffix in PICTURES:
        return []
    data = path.read_bytes()
    if b"\0" in data:
        return [f"{path}: a binary file"]
    text = data.decode()
    if path.name in {"utils.py", "helpers.py", "misc.py"}:
        found.append(f"{path}: name it after what it does")
    lines = text.count("\n")
    code = path.suffix in {".py", ".ts", ".tsx"} and path.parts[0] != "tests"
    if code and lines > LIMIT and str(path) not in LONGER_BECAUSE:
        found.append(f"{path}: {lines} lines; over {LIMIT} wants splitting")
    if any(mark in str(path) for mark in LOCKS) and re.search(
        r"https?://[^\"\s]*\.(whl|tgz|gz)", text
    ):
        found.append(f"{path}: names a registry host")
    return found


def main() -> int:
    """Print every problem; 1 when there is one."""
    found = [line for path in tracked() for line in problems(path)]
    print("\n".join(found) or "tree: clean")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
