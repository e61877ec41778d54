"""Say in one sentence what is wrong with this Python, before anything is installed."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - run by whatever python3 the machine has
    sys.exit(
        f"analysis-facility needs Python 3.11 or newer; {sys.executable} is "
        f"{sys.version_info[0]}.{sys.version_info[1]}. Try: make run PYTHON=python3.12"
    )
try:
    import ensurepip  # noqa: F401 - Debian splits it off
except ImportError:
    sys.exit("Python's venv module is missing. On Debian or Ubuntu: apt install python3-venv")
