"""The command ``analysis-facility``.

Imports stand in the functions: ``check`` and ``version`` need none of the facility's machinery,
and ``setup`` can only say that Python packages are missing if it does not need them itself.
"""

# ruff: noqa: PLC0415

from __future__ import annotations

import argparse
import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from af_hub.errors import AFError, ConfigError
from af_hub.values_command import add_values

if TYPE_CHECKING:
    from collections.abc import Sequence

FAILED = 1
"""Exit code for something that went wrong."""

WRONG_INPUT = 2
"""Exit code for wrong arguments or a wrong facility file, as argparse has it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Errors that a person can act upon are printed as a sentence, without a traceback.
    """
    options = build_parser().parse_args(arguments)
    try:
        options.command(options)
    except AFError as error:
        sys.stderr.write(f"\nanalysis-facility: {error}\n")
        return WRONG_INPUT if isinstance(error, ConfigError) else FAILED
    except OSError as error:
        place = f": {error.filename}" if error.filename else ""
        sys.stderr.write(f"\nanalysis-facility: {error.strerror or error}{place}\n")
        return FAILED
    except KeyboardInterrupt:
        return 130
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Make the parser of all commands; the documentation shows its help texts."""
    parser = argparse.ArgumentParser(
        prog="analysis-facility",
        description="A whole physics analysis facility: login, Labs, data and Dask clusters.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="start a facility on this machine")
    run.add_argument("--port", type=_port, default=8000, help="port to open (default: 8000)")
    run.add_argument("--host", default="127.0.0.1", help="address (default: this machine only)")
    run.add_argument("--data", type=Path, metavar="DIR", help="folder for everything that is kept")
    run.add_argument(
        "--facility", type=Path, metavar="FILE", help="facility file in place of the one in DIR"
    )
    run.add_argument(
        "--allow-public-demo",
        action="store_true",
        help="allow another address than this machine's own, although the passwords are public",
    )
    run.set_defaults(command=_run)

    setup = commands.add_parser("setup", help="prepare this machine without starting anything")
    setup.set_defaults(command=_setup)

    _add_iam(commands)

    check = commands.add_parser("check", help="check a facility file, all errors at once")
    check.add_argument("file", type=Path, metavar="FILE")
    check.set_defaults(command=_check)

    schema = commands.add_parser("schema", help="print the JSON Schema of the facility file")
    schema.set_defaults(command=_schema)

    add_values(commands)

    show = commands.add_parser("version", help="print the version")
    show.set_defaults(command=_version)
    return parser


def _add_iam(commands: Any) -> None:
    iam = commands.add_parser(
        "iam",
        help="start only the development IAM, for a hub of your own",
        description="An identity provider with demo users and one client, that behaves as an "
        "INDIGO IAM does. It is for development: its passwords are public, and it is reachable "
        "from this machine only. It prints what a hub needs, and runs until Ctrl-C.",
    )
    iam.add_argument(
        "--port", type=_port, default=8443, metavar="N", help="port for https (default: 8443)"
    )
    iam.add_argument(
        "--login-port",
        type=_port,
        default=8080,
        metavar="N",
        help="port of the login page (default: 8080)",
    )
    iam.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="folder for everything that is kept (default: ~/.local/share/analysis-facility-iam)",
    )
    iam.add_argument(
        "--client-id", default="af-hub", metavar="ID", help="id of the client (default: af-hub)"
    )
    iam.add_argument(
        "--redirect-uri",
        action="append",
        metavar="URI",
        help="where its logins lead, may be repeated "
        "(default: http://127.0.0.1:8000/hub/oauth_callback)",
    )
    iam.add_argument(
        "--profile",
        default="wlcg",
        choices=["iam", "wlcg", "aarc", "kc"],
        help="token profile of the client (default: wlcg)",
    )
    iam.add_argument(
        "--reuse-refresh-token",
        action="store_true",
        help="keep the refresh token at a refresh (default: a new one each time)",
    )
    iam.add_argument(
        "--clear-access-tokens",
        action="store_true",
        help="end earlier access tokens at a refresh even if the refresh token is kept",
    )
    iam.add_argument(
        "--access-token-seconds",
        type=_seconds,
        default=3600,
        metavar="N",
        help="lifetime of access tokens (default: 3600)",
    )
    iam.add_argument("--policy", metavar="TEXT", help="acceptable use policy that all have to sign")
    iam.add_argument(
        "--switches",
        type=Path,
        metavar="DIR",
        help="folder whose switches.json makes it fail, or behave as other providers do",
    )
    iam.set_defaults(command=_iam)


def _seconds(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text) <= 86400):
        raise argparse.ArgumentTypeError(f"{text!r} is not a time (1 to 86400 seconds)")
    return int(text)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port (1 to 65535)")
    return int(text)


def _run(options: argparse.Namespace) -> None:
    from af_hub.embedded.interrupts import note_interrupts

    note_interrupts()
    from af_hub.embedded.layout import Layout, default_data_folder
    from af_hub.embedded.setup import require_modules

    require_modules()
    from af_hub.embedded.run import Options, run

    data = options.data or default_data_folder()
    run(
        Options(
            layout=Layout(data.expanduser().absolute()),
            port=options.port,
            host=options.host,
            facility_file=options.facility,
            allow_public_demo=options.allow_public_demo,
        )
    )


def _iam(options: argparse.Namespace) -> None:
    from af_hub.embedded.layout import Layout, default_data_folder
    from af_hub.embedded.setup import require_modules

    require_modules()
    from af_hub.embedded.iam.alone import CALLBACK, AloneOptions, run_alone

    data = options.data or default_data_folder().with_name("analysis-facility-iam")
    run_alone(
        AloneOptions(
            layout=Layout(data.expanduser().absolute()),
            port=options.port,
            login_port=options.login_port,
            client_id=options.client_id,
            redirect_uris=tuple(options.redirect_uri or [CALLBACK]),
            profile=options.profile,
            reuse_refresh_token=options.reuse_refresh_token,
            clear_access_tokens=options.clear_access_tokens,
            access_token_seconds=options.access_token_seconds,
            policy=options.policy,
            switches=options.switches and options.switches.expanduser().absolute(),
        )
    )


def _setup(_options: argparse.Namespace) -> None:
    from af_hub.embedded.setup import prepare

    def report(text: str) -> None:
        sys.stdout.write(f"- {text}\n")
        sys.stdout.flush()

    prepare(report)
    sys.stdout.write("This machine is ready: analysis-facility run\n")


def _check(options: argparse.Namespace) -> None:
    from af_hub.facility import load
    from af_hub.facility.warnings import warnings_of

    facility = load(options.file)
    sys.stdout.write(f"{options.file}: no problem found\n")
    for warning in warnings_of(facility):
        sys.stdout.write(f"Note: {warning}\n")


def _schema(_options: argparse.Namespace) -> None:
    from af_hub.facility import schema

    sys.stdout.write(json.dumps(schema(), indent=2) + "\n")


def _version(_options: argparse.Namespace) -> None:
    sys.stdout.write(version("analysis-facility") + "\n")


if __name__ == "__main__":
    sys.exit(main())
