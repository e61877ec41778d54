"""``python -m af_hub.embedded.network.trial FOLDER``: try whether this system lets us.

It does once what the holder and the servers will do, and says in one line what was refused. Some
systems let an ordinary user make a user namespace and then refuse everything inside it (AppArmor
on Ubuntu 23.10 and later), so only doing it tells.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from af_hub.embedded.network import namespace


def main() -> int:
    """Try; returns 0 if all is allowed."""
    try:
        os.close(os.pidfd_open(os.getpid()))  # Linux 5.3; entering by it: 5.8
        namespace.make_network()
        namespace.make_mounts()
        namespace.mount_memory(Path(sys.argv[1]))
    except OSError as error:
        print(error.strerror or error)  # noqa: T201  its only purpose
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
