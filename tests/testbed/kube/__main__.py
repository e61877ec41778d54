"""``python -m testbed.kube up|down|status|tools|load|own``: what ``make kube-…`` calls."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import psutil

from af_hub.errors import AFError
from testbed.kube import demands
from testbed.kube.cluster import machine_problem
from testbed.kube.extras import ALL
from testbed.kube.node import Node
from testbed.kube.second import environment, second_settings
from testbed.kube.settings import from_environment
from testbed.kube.tools import BASE, FAMILIES, GIGABYTES, Tools


def main(arguments: list[str] | None = None) -> int:
    """Do what is asked; 1 where it failed or the cluster is not well."""
    parser = argparse.ArgumentParser(prog="testbed.kube", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="bring the cluster up; does nothing if it is well")
    up.add_argument(
        "--with", action="append", default=[], choices=list(ALL), dest="extras", help="parts more"
    )
    commands.add_parser("down", help="take it down; keeps programs and images")
    commands.add_parser("status", help="say how it is")
    tools = commands.add_parser("tools", help="build the programs")
    tools.add_argument("family", nargs="*", choices=[[], *FAMILIES, "kubectl"])
    tools.add_argument(
        "--for-tests", action="store_true", help="build nothing where no cluster can be started"
    )
    load = commands.add_parser("load", help="bring OCI archives into the node's store")
    load.add_argument("archive", nargs="+", type=Path)
    own = commands.add_parser("own", help="run a command with a cluster that nobody else uses")
    own.add_argument("argument", nargs=argparse.REMAINDER)
    given = parser.parse_args(arguments)
    try:
        return _do(given, Node(from_environment()))
    except AFError as error:
        print(f"kube: {error}", file=sys.stderr)
        if error.__cause__ is None and hasattr(error, "detail") and error.detail:
            print(error.detail, file=sys.stderr)
        return 1


def _do(given: argparse.Namespace, node: Node) -> int:
    match given.command:
        case "up":
            if not node.up():
                print("kube: already up", file=sys.stderr)
            for name in given.extras:
                node.add(name)
            print(node.settings.kubeconfig)
        case "down":
            node.down()
        case "status":
            return _status(node)
        case "tools":
            _tools(given, node)
        case "load":
            node.load(*given.archive)
        case "own":
            with second_settings() as settings:
                return subprocess.run(
                    given.argument, env=environment(settings), check=False
                ).returncode
    return 0


def _tools(given: argparse.Namespace, node: Node) -> None:
    problem = machine_problem() if given.for_tests else None
    if problem or (given.for_tests and os.environ.get("KUBECONFIG")):
        print(f"kube: nothing is built: {problem or 'KUBECONFIG is set'}", file=sys.stderr)
        return
    families = tuple(given.family) or (*BASE, "kubectl")
    programs = Tools(node.settings.bin)
    node.settings.home.mkdir(parents=True, exist_ok=True)
    if programs.missing(families):
        demands.check_disk(node.settings.home, GIGABYTES)
    for name in families:
        print(programs.ensure(name))


def _status(node: Node) -> int:
    for name in node.parts.names():
        process = node.parts.process(name)
        if process is None:
            print(f"{name:20} does not run, its log is {node.parts.log(name)}")
        else:
            memory = psutil.Process(process.pid).memory_info().rss / 1e6
            print(f"{name:20} pid {process.pid:7}  {memory:5.0f} MB")
    problem = node.problem()
    if problem:
        print(f"The cluster {node.settings.name} is not up: {problem}.")
        return 1
    print(f"The cluster {node.settings.name} is up: KUBECONFIG={node.settings.kubeconfig}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
