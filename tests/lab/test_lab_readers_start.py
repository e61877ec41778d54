"""Readers are prepared in every Python of the environment, at next to no cost and no risk."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import sysconfig
from pathlib import Path

from af_labextension.readers import start

NAME = "analysis_facility_readers.pth"
SOURCE = Path(start.__file__).with_name(NAME)

OURS = {"af_labextension", "af_labextension.readers", "af_labextension.readers.start"}


def run(code: str, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a Python of this environment."""
    surroundings = {key: value for key, value in os.environ.items() if not key.startswith("AF_")}
    return subprocess.run(
        [sys.executable, *options, "-c", code],
        env=surroundings | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )


def modules(**environment: str) -> set[str]:
    """Return what is imported when Python starts."""
    return set(run("import sys; print(*sys.modules)", **environment).stdout.split())


def test_every_python_of_the_environment_is_prepared_when_the_package_is_installed() -> None:
    installed = Path(sysconfig.get_path("purelib")) / NAME
    assert installed.read_text() == SOURCE.read_text()
    code = "import sys; print(type(sys.meta_path[0]).__name__, type(sys.meta_path[1]).__name__)"
    assert "ImportWatch" in run(code).stdout


def test_nothing_but_three_small_modules_is_imported_at_start() -> None:
    assert modules() - modules(AF_READERS="off") - {"__future__"} == OURS


def test_start_costs_less_than_the_promised_milliseconds() -> None:
    def seconds(switch: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run("pass", AF_READERS=switch)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    added = min(seconds("on") for _ in range(9)) - min(seconds("off") for _ in range(9))
    assert added < 0.015  # the promise is 5 ms


def test_nothing_is_mended_when_it_is_turned_off() -> None:
    code = "import XRootD.client as c; print(hasattr(c.File.open, '__wrapped__'))"
    assert run(code).stdout == "True\n"
    assert run(code, AF_READERS="off").stdout == "False\n"


def test_libraries_are_mended_once_whatever_came_first() -> None:
    code = """
import sys, XRootD.client, fsspec_xrootd, fsspec.implementations.http
from af_labextension.readers import start
start.install()
start.install()
opened = XRootD.client.File.open
print(hasattr(opened, "__wrapped__"), hasattr(opened.__wrapped__, "__wrapped__"))
print(any("ImportWatch" in type(finder).__name__ for finder in sys.meta_path))
print([name for name in start.MENDED if "exec_module" in vars(sys.modules[name].__spec__.loader)])
"""
    assert run(code).stdout == "True False\nFalse\n[]\n"
    assert run("import af_labextension.readers.start\n" + code).stdout == "True False\nFalse\n[]\n"
    late = "import os; del os.environ['AF_READERS']\n"
    assert run(late + code, AF_READERS="off").stdout == "True False\nFalse\n[]\n"


def test_an_import_fails_as_ever_when_there_is_no_xrootd(tmp_path: Path) -> None:
    code = """
import sys
sys.modules["XRootD"] = None
for name in ("XRootD.client", "XRootD", "fsspec_xrootd.xrootd"):
    try:
        __import__(name)
    except ImportError as error:
        print(type(error).__name__)
"""
    assert run(code).stdout == run(code, AF_READERS="off").stdout
    assert run(code).stderr == ""


def test_a_library_of_another_shape_is_left_alone_with_a_warning(tmp_path: Path) -> None:
    (tmp_path / "XRootD" / "client").mkdir(parents=True)
    (tmp_path / "XRootD" / "__init__.py").touch()
    (tmp_path / "XRootD" / "client" / "__init__.py").write_text("File = 'of another shape'\n")
    done = run("import XRootD.client; print(XRootD.client.File)", PYTHONPATH=str(tmp_path))
    assert done.stdout == "of another shape\n"
    assert "XRootD.client could not be prepared" in done.stderr


def test_python_starts_in_silence_when_the_package_is_gone() -> None:
    done = run(f"exec(open({str(SOURCE)!r}).read())", "-I", "-S")
    assert (done.stdout, done.stderr) == ("", "")
