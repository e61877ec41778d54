"""Read the facility file: every problem at once, each with its line, path and a hint."""

from __future__ import annotations

import difflib
import json
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from af_hub.errors import ConfigError
from af_hub.facility.document import Document, read_document
from af_hub.facility.models import FacilityConfig
from af_hub.facility.references import dangling

SIZE_LIMIT = 1024 * 1024
"""Largest facility file, in bytes."""

Location = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong in a facility file.

    Parameters
    ----------
    line
        Line in the file, counted from 1.
    path
        Where in the document, for example ``profiles[1].gpu.counts``; empty for the whole file.
    message
        What is wrong and what would be right.
    """

    line: int
    path: str
    message: str

    def __str__(self) -> str:
        """Write as ``line 12: profiles[1].gpu.counts: message``."""
        return f"line {self.line}: " + (f"{self.path}: " if self.path else "") + self.message


class FacilityFileError(ConfigError):
    """A facility file with problems.

    Parameters
    ----------
    path
        The file.
    problems
        All of them, in the order of the file.
    """

    def __init__(self, path: Path, problems: list[Problem]) -> None:
        self.path = path
        self.problems = tuple(sorted(problems))
        count = "one problem" if len(problems) == 1 else f"{len(problems)} problems"
        lines = "\n".join(f"  {problem}" for problem in self.problems)
        super().__init__("facility-file", f"{path} has {count}:\n{lines}")


def load(path: str | Path) -> FacilityConfig:
    """Read and check a facility file.

    Parameters
    ----------
    path
        The YAML file; relative paths inside it count from its folder.

    Returns
    -------
    FacilityConfig
        The typed, frozen contents.

    Raises
    ------
    FacilityFileError
        With all problems at once: unknown keys with the nearest known one, wrong values, repeated
        keys, YAML errors, references to names that do not exist.
    ConfigError
        If the file cannot be read.
    """
    file = Path(path).absolute()
    return parse(_read(file), file)


def parse(text: str, file: Path) -> FacilityConfig:
    """Check the text of a facility file; `file` names it and its folder anchors relative paths.

    Raises
    ------
    FacilityFileError
        As `load`.
    """
    try:
        document = read_document(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = 1 if mark is None else mark.line + 1
        message = " ".join(filter(None, (error.context, error.problem)))
        raise FacilityFileError(file, [Problem(line, "", message)]) from None
    except (yaml.YAMLError, ValueError) as error:
        raise FacilityFileError(file, [Problem(1, "", str(error))]) from None
    context = {"folder": file.parent}
    try:
        config = FacilityConfig.model_validate_json(document.json, strict=True, context=context)
    except ValidationError as error:
        problems = _problems(document, error)
        sections = _right_sections(document, context)
        problems += _cross(document, sections)
        raise FacilityFileError(file, problems) from None
    sections = {name: getattr(config, name) for name in FacilityConfig.model_fields}
    if problems := _cross(document, sections):
        raise FacilityFileError(file, problems)
    return config


def _read(file: Path) -> str:
    """Read the file's text, at most `SIZE_LIMIT` bytes of UTF-8."""
    try:
        with file.open("rb") as stream:
            raw = stream.read(SIZE_LIMIT + 1)
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise ConfigError("facility-file", f"{file}: {reason}.") from None
    if len(raw) > SIZE_LIMIT:
        raise FacilityFileError(file, [Problem(1, "", "is larger than 1 MiB")])
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise FacilityFileError(file, [Problem(line, "", "is not UTF-8 text")]) from None


def _cross(document: Document, sections: dict[str, Any]) -> list[Problem]:
    """Check references between those sections that are right in themselves."""
    return [
        Problem(document.line(where), _dotted(where), message)
        for where, message in dangling(**sections)
    ]


def _right_sections(document: Document, context: dict[str, Any]) -> dict[str, Any]:
    """Validate each section alone, so that one wrong section hides no problem of the others."""
    right = {}
    for name, field in FacilityConfig.model_fields.items():
        if not isinstance(document.data, dict) or name not in document.data:
            continue
        adapter: TypeAdapter[Any] = TypeAdapter(field.rebuild_annotation())
        try:
            text = json.dumps(document.data[name])
            right[name] = adapter.validate_json(text, strict=True, context=context)
        except ValidationError:
            continue
    return right


def _problems(document: Document, error: ValidationError) -> list[Problem]:
    """Turn pydantic's list of errors into ours, without echoes of the same mistake."""
    found = error.errors(include_url=False)
    wrong_items = {item["loc"][:-1] for item in found}
    # a list whose items are all wrong is reported as too short, too
    echoes = [item for item in found if item["type"] == "too_short" and item["loc"] in wrong_items]
    problems = [_problem(document, item) for item in found if item not in echoes]
    return list(dict.fromkeys(problems))


def _problem(document: Document, error: typing.Mapping[str, Any]) -> Problem:
    """Turn pydantic's description of an error into ours."""
    where: Location = error["loc"]
    kind = error["type"]
    message = str(error["msg"]).removeprefix("Value error, ")
    if kind == "extra_forbidden":
        message = _unknown_key(where)
    elif kind == "missing":
        message = f"{where[-1]!r} is missing"
        where = where[:-1]
    elif kind == "string_pattern_mismatch":
        message = f"is not of the form {error['ctx']['pattern']}"
    where = document.existing(where)
    return Problem(document.line(where), _dotted(where), message)


def _unknown_key(where: Location) -> str:
    """Name the nearest known key."""
    known = _keys_at(FacilityConfig, where[:-1])
    near = difflib.get_close_matches(str(where[-1]), known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else "known keys: " + ", ".join(known)
    return f"unknown key; {hint}"


def _keys_at(annotation: Any, where: Location) -> list[str]:
    """Find which keys the model at a location knows; empty if it is not a model."""
    for model in _models(annotation):
        if not where:
            return list(model.model_fields)
        field = model.model_fields.get(str(where[0]))
        if field is not None and (found := _keys_at(field.annotation, where[1:])):
            return found
    arguments = typing.get_args(annotation)
    if where and arguments and not _models(annotation):
        # the value type stands last in tuple[X, ...] apart from the dots, dict[K, X], X | None
        inner = [item for item in arguments if item not in {Ellipsis, type(None)}]
        origin = typing.get_origin(annotation)
        rest = where[1:] if origin in {tuple, list, dict} else where
        for item in reversed(inner):
            if found := _keys_at(item, rest):
                return found
    return []


def _models(annotation: Any) -> list[type[BaseModel]]:
    """List the models that an annotation may directly be."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if typing.get_origin(annotation) in {tuple, list, dict}:
        return []
    return [
        item
        for item in typing.get_args(annotation)
        if isinstance(item, type) and issubclass(item, BaseModel)
    ]


def _dotted(where: Location) -> str:
    """Write a location as ``profiles[1].gpu.counts``."""
    text = "".join(f"[{item}]" if isinstance(item, int) else f".{item}" for item in where)
    return text.removeprefix(".")
