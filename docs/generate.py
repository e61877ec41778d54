"""Write the reference pages from the code: facility file, commands, HTTP routes, error codes."""

from __future__ import annotations

import ast
import importlib
import io
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ERRORS = {
    "ConfigError",
    "IdentityError",
    "IAMUnavailable",
    "SessionOver",
    "ComputeError",
    "SetupError",
    "Refusal",
    "AFError",
    "LabError",
}


def cell(text: str) -> str:
    """Make one line of text safe for a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|").replace("``", "`")


def type_of(schema: dict[str, Any]) -> str:
    """Name the type of one property of a JSON Schema."""
    if "$ref" in schema:
        return f"[{(name := schema['$ref'].rsplit('/', 1)[-1])}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(type_of(option) for option in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    kind = str(schema.get("type", "anything"))
    if kind == "array":
        return f"list of {type_of(schema.get('items', {}))}"
    if kind == "object" and isinstance(inner := schema.get("additionalProperties"), dict):
        return f"mapping to {type_of(inner)}"
    return {"null": "nothing"}.get(kind, kind)


def default_of(schema: dict[str, Any]) -> str:
    """Show the default of a property; that of an object stands in its own table."""
    value = schema.get("default")
    if "default" not in schema or (isinstance(value, dict) and value):
        return ""
    return "nothing" if value is None else f"`{value}`"


def section(name: str, schema: dict[str, Any]) -> list[str]:
    """Describe one object of the facility file as a table."""
    lines = [f"## {name}", "", schema.get("description", ""), ""]
    properties = schema.get("properties", {})
    if properties:
        lines += ["| key | type | default | meaning |", "|---|---|---|---|"]
    required = set(schema.get("required", ()))
    for key, value in properties.items():
        default = "**required**" if key in required else default_of(value)
        lines.append(
            f"| `{key}` | {type_of(value)} | {cell(default)} | {cell(value.get('description', ''))} |"
        )
    return [*lines, ""]


def facility_page() -> str:
    """Describe every key of ``facility.yaml`` from the models' JSON Schema."""
    from af_hub.facility import schema

    document = schema()
    lines = [
        "# The facility file",
        "",
        "One file describes a facility. `analysis-facility check FILE` names every fault in it at once,",
        "`analysis-facility schema` prints the JSON Schema that this page is made from.",
        "",
        *section("Facility", document),
    ]
    for name, part in sorted(document.get("$defs", {}).items()):
        lines += section(name, part)
    return "\n".join(lines)


def commands_page() -> str:
    """Show the help of each command as argparse prints it."""
    from af_hub.cli import build_parser

    parser = build_parser()
    lines = ["# Commands", "", "```text", parser.format_help().rstrip(), "```", ""]
    for action in parser._subparsers._group_actions if parser._subparsers else ():
        for name, command in (action.choices or {}).items():  # type: ignore[union-attr]
            buffer = io.StringIO()
            with redirect_stdout(buffer):
                command.print_help()
            lines += [f"## {name}", "", "```text", buffer.getvalue().rstrip(), "```", ""]
    return "\n".join(lines)


def error_codes() -> dict[str, tuple[str, str]]:
    """Collect ``code -> (exception, message)`` from the calls in the sources.

    Messages of f-strings keep their literal parts; values show as ``…``.
    """
    found: dict[str, tuple[str, str]] = {}
    for path in sorted([*ROOT.glob("af_hub/**/*.py"), *ROOT.glob("af_labextension/**/*.py")]):
        if "node_modules" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                continue
            if node.func.id not in ERRORS or len(node.args) < 2:
                continue
            code, message = (text_of(argument) for argument in node.args[:2])
            if code and message:
                found.setdefault(code, (node.func.id, message))
    return found


def text_of(node: ast.expr) -> str:
    """Return the literal text of a string expression."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) or "…" for part in node.values)
    return ""


def errors_page() -> str:
    """List every stable code with its sentence."""
    rows = [
        f"| `{code}` | {kind} | {cell(message)} |"
        for code, (kind, message) in sorted(error_codes().items())
    ]
    head = ["# Error codes", "", "| code | kind | what the user reads |", "|---|---|---|"]
    return "\n".join([*head, *rows, ""])


def traits_page() -> str:
    """Point autodoc_traits at the configurable classes, at the traits of our own."""
    classes = (
        "af_hub.iam.authenticator.IAMAuthenticator",
        "af_hub.spawner.local.LocalSpawner",
        "af_labextension.app.FacilityExtension",
    )
    lines = [
        "# Settings (traits)",
        "",
        "The facility file sets these; in a `jupyterhub_config.py` of your own you may set them by hand.",
        "What the classes inherit stands in the documents of JupyterHub, OAuthenticator and Jupyter Server.",
        "",
    ]
    for path in classes:
        module, _, name = path.rpartition(".")
        traits = getattr(importlib.import_module(module), name).class_traits(config=True)
        foreign = sorted(
            trait
            for trait, value in traits.items()
            if not value.this_class.__module__.startswith("af_")
        )
        lines += [
            *("```{eval-rst}", f".. autoconfigurable:: {path}"),
            f"   :exclude-members: {', '.join(foreign)}",
            *("```", ""),
        ]
    return "\n".join(lines)


def write_reference(docs: Path) -> None:
    """Write all generated pages below ``docs/reference``, only where the text changed."""
    pages = {
        "facility": facility_page,
        "commands": commands_page,
        "errors": errors_page,
        "traits": traits_page,
    }
    folder = docs / "reference"
    folder.mkdir(exist_ok=True)
    for name, make in pages.items():
        path = folder / f"{name}.md"
        text = make()
        if not path.is_file() or path.read_text() != text:
            path.write_text(text)
