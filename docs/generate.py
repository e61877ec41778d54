"""Write the reference pages from the code: facility file, commands, HTTP routes, error codes."""

from __future__ import annotations

import ast
import importlib
import io
import itertools
import re
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ERRORS = {
    "ConfigError": "ConfigError",
    "IdentityError": "IdentityError",
    "UnknownKeyError": "IdentityError",
    "IAMUnavailable": "IAMUnavailable",
    "SessionOver": "SessionOver",
    "ComputeError": "ComputeError",
    "SetupError": "SetupError",
    "Refusal": "Refusal",
    "_refused": "Refusal",
    "AFError": "AFError",
    "LabError": "LabError",
    "NoToken": "NoToken",
}
"""What is called to make an error, and which kind it is."""

TOKEN_REFUSED = "refused"  # noqa: S105  a function's name
"""Function of `af_hub.iam.signature`: ``token-`` and its argument, with one sentence for all."""


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
    if value == "":
        return "empty"
    return "nothing" if value is None else f"`{value}`"


def section(name: str, schema: dict[str, Any]) -> list[str]:
    """Describe one object of the facility file as a table."""
    # what may also be written as a bare value
    schema = next((each for each in schema.get("anyOf", ()) if "properties" in each), schema)
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


@dataclass(frozen=True, order=True)
class Code:
    """An error as the sources make it.

    Parameters
    ----------
    code, kind, message
        Stable code, exception, sentence; of f-strings the literal parts, values show as ``…``.
    """

    code: str
    kind: str
    message: str


def error_codes(folders: tuple[str, ...] = ("af_hub", "af_labextension")) -> list[Code]:
    """Collect all errors that the sources make, sorted; a code can have several sentences."""
    paths = [path for folder in folders for path in sorted((ROOT / folder).glob("**/*.py"))]
    trees = [ast.parse(path.read_text()) for path in paths if "node_modules" not in path.parts]
    public = {
        name: text
        for tree in trees
        for name, text in constants_of(tree).items()
        if not name.startswith("_")
    }
    signature = ROOT / "af_hub/iam/signature.py"
    shared = constants_of(ast.parse(signature.read_text()))["_SENTENCE"]
    found = set()
    for tree in trees:
        constants = public | constants_of(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                found.update(codes_of(node, node.func.id, constants, shared))
    return sorted(found)


def codes_of(call: ast.Call, name: str, constants: dict[str, str], shared: str) -> list[Code]:
    """Return what one call makes: nothing if it makes no error, or one of a computed code."""
    texts = [texts_of(argument, constants) for argument in call.args[:2]]
    if name == TOKEN_REFUSED and len(texts) == 1 and all(texts[0]):
        return [Code(f"token-{reason}", "IdentityError", shared) for reason in texts[0]]
    if name not in ERRORS or len(texts) < 2:
        return []
    return [
        Code(code, ERRORS[name], message)
        for code, message in itertools.product(*texts)
        if code and message and "…" not in code
    ]


def constants_of(tree: ast.Module) -> dict[str, str]:
    """Return the text constants of a module."""
    found = {}
    for node in tree.body:
        if isinstance(node, ast.AnnAssign):
            target: ast.expr = node.target
        elif isinstance(node, ast.Assign):
            target = node.targets[0]
        else:
            continue
        if isinstance(target, ast.Name) and isinstance(node.value, ast.Constant):
            found[target.id] = node.value.value
    return {name: value for name, value in found.items() if isinstance(value, str)}


def texts_of(node: ast.expr, constants: dict[str, str]) -> list[str]:
    """Return the texts that an expression can be; an empty one where that cannot be told."""
    if isinstance(node, ast.IfExp):
        return [*texts_of(node.body, constants), *texts_of(node.orelse, constants)]
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.Name):
        return [constants.get(node.id, "")]
    if isinstance(node, ast.FormattedValue):
        return texts_of(node.value, constants)
    if isinstance(node, ast.JoinedStr):
        return ["".join(texts_of(part, constants)[0] or "…" for part in node.values)]
    return [""]


def errors_page() -> str:
    """List every stable code with its sentences."""
    rows = [f"| `{one.code}` | {one.kind} | {cell(one.message)} |" for one in error_codes()]
    head = ["# Error codes", "", "| code | kind | what the user reads |", "|---|---|---|"]
    return "\n".join([*head, *rows, ""])


def plain(text: str) -> str:
    """Turn the reStructuredText of a help into Markdown."""
    text = re.sub(r"\.\. version\w+:: [\d.]+", "", text)
    text = re.sub(r"\.\. deprecated:: ([\d.]+)", r"Deprecated since \1.", text)
    return re.sub(r":\w+:(?=`)|`([^`<]+?)(?: <[^>]+>)?`_+", r"\1", text)


WIDEST = 20
"""Characters of a default; a longer one is shown by its beginning."""

FROM_ENVIRONMENT = {
    "authorize_url",
    "client_id",
    "client_secret",
    "login_service",
    "logout_redirect_url",
    "oauth_callback_url",
    "token_url",
    "userdata_url",
}
"""Traits whose default OAuthenticator reads from the environment: that of a build is nobody's."""


def inherited_table(cls: Any, names: list[str]) -> list[str]:
    """Describe traits of other packages in a line each: the first paragraph of their help."""
    traits, made = cls.class_traits(config=True), cls()
    lines = ["| trait | default here | meaning |", "|---|---|---|"]
    for name in names:
        trait = traits[name]
        ours = hasattr(cls, f"_default_{name}")
        value = "" if name in FROM_ENVIRONMENT and not ours else getattr(made, name)
        meaning = cell(plain(trait.help.strip().split("\n\n")[0]))
        package = trait.this_class.__module__.split(".")[0]
        shown = repr(value) if len(repr(value)) <= WIDEST else f"{repr(value)[:16]}…"
        lines.append(f"| `{name}` | `{cell(shown)}` | {meaning} ({package}) |")
    return [*lines, ""]


def traits_page() -> str:
    """Point autodoc_traits at the configurable classes, at the traits of our own."""
    classes = (
        "af_hub.iam.authenticator.IAMAuthenticator",
        "af_hub.spawner.local.spawner.LocalSpawner",
        "af_labextension.app.FacilityExtension",
    )
    lines = [
        "# Settings (traits)",
        "",
        "The facility file sets these; in a `jupyterhub_config.py` of your own you may set them by hand.",
        "What spawner and extension inherit stands in the documents of JupyterHub and Jupyter Server.",
        "",
    ]
    for path in classes:
        module, _, name = path.rpartition(".")
        cls = getattr(importlib.import_module(module), name)
        traits = cls.class_traits(config=True)
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
        if name == "IAMAuthenticator":
            lines += [f"Inherited by `{name}`, each with the first words of its help:", ""]
            lines += inherited_table(cls, foreign)
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
