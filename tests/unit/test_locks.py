"""The lists of packages have one Dask, and it is the one that a GPU Lab's dask-cuda takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

LISTS = sorted(
    [*REPOSITORY.glob("requirements/*.txt"), *REPOSITORY.glob("images/*/requirements.txt")]
)


def pinned(path: Path, name: str) -> set[str]:
    """Return the versions that a list has of a package; several where they depend on Python's."""
    return set(re.findall(rf"^{name}==(\S+)", path.read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("name", ["dask", "distributed", "bokeh"])
def test_package_is_of_one_version_when_all_lists_are_read(name: str) -> None:
    """A client, its scheduler and its workers may come from any of them."""
    have = {str(path.relative_to(REPOSITORY)): pinned(path, name) for path in LISTS}
    have = {path: versions for path, versions in have.items() if versions}
    assert {"requirements/facility.txt", "images/lab/requirements.txt"} <= have.keys()
    assert len(set.union(*have.values())) == 1, have


def test_dask_cuda_is_of_the_release_that_chose_dask_when_locked() -> None:
    """The resolver takes one of 2021, which cannot be imported, rather than none."""
    gpu = REPOSITORY / "images/lab-gpu/requirements.txt"
    # RAPIDS' releases are year and month
    cuda = {version.rpartition(".")[0] for version in pinned(gpu, "dask-cuda")}
    assert cuda == {version.rpartition(".")[0] for version in pinned(gpu, "rapids-dask-dependency")}
    assert len(cuda) == 1
