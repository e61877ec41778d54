"""From files in a store to datasets: names, sizes, checksums, and what is left out."""

from __future__ import annotations

import json
import os
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from af_hub.embedded.rucio.server.af_rucio.content import (
    NAME,
    Dataset,
    File,
    adler32_of,
    demo_content,
)

if TYPE_CHECKING:
    from pathlib import Path


def put(store: Path, *paths: str) -> None:
    for path in paths:
        target = store / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.encode())


def names(datasets: list[Dataset]) -> set[str]:
    return {file.name for dataset in datasets for file in dataset.files}


def test_blocks_share_a_container_when_a_folder_has_many_files(tmp_path: Path) -> None:
    store = tmp_path / "store"
    put(store, *(f"cms/zmumu/{number}.root" for number in range(5)), "open/other/a.root")
    datasets = demo_content(store, tmp_path / "sums")
    assert [(each.scope, each.container, each.name, len(each.files)) for each in datasets] == [
        ("cms", "/ZMuMu/Simulated/CONTAINER", "/ZMuMu/Simulated/BLOCK-1", 2),
        ("cms", "/ZMuMu/Simulated/CONTAINER", "/ZMuMu/Simulated/BLOCK-2", 2),
        ("cms", "/ZMuMu/Simulated/CONTAINER", "/ZMuMu/Simulated/BLOCK-3", 1),
        ("open", "/other/Simulated/CONTAINER", "/other/Simulated/BLOCK-1", 1),
    ]


def test_file_has_its_size_and_checksum(tmp_path: Path) -> None:
    put(tmp_path / "store", "cms/a/b/c.root")
    (dataset,) = demo_content(tmp_path / "store", tmp_path / "sums")
    content = b"cms/a/b/c.root"
    checksum = f"{zlib.adler32(content):08x}"
    assert dataset.files == (File("/store/cms/a/b/c.root", len(content), checksum),)


@pytest.mark.parametrize(
    "path",
    [
        "top.root",
        "cms/loose.root",
        "cms/a/.hidden.root",
        "cms/.hidden/a.root",
        "cms/a/with space.root",
        "cms/a/hash#1.root",
        "cms/ä/a.root",
        "a scope/a/b.root",
        "scope-with-more-than-25-letters/a/b.root",
        f"cms/a/{'x' * 236}.root",
    ],
)
def test_file_is_left_out_when_rucio_has_no_name_for_it(tmp_path: Path, path: str) -> None:
    store = tmp_path / "store"
    put(store, path, "cms/a/good.root")
    assert names(demo_content(store, tmp_path / "sums")) == {"/store/cms/a/good.root"}


def test_two_folders_do_not_meet_when_their_names_are_alike(tmp_path: Path) -> None:
    store = tmp_path / "store"
    put(store, "cms/a/z.root", "cms/a-b/y.root", "cms/a/sub/x.root", "cms/a.b/w.root")
    found = {
        each.name: {file.name for file in each.files}
        for each in demo_content(store, tmp_path / "s")
    }
    assert found == {
        "/a/Simulated/BLOCK-1": {"/store/cms/a/sub/x.root", "/store/cms/a/z.root"},
        "/a-b/Simulated/BLOCK-1": {"/store/cms/a-b/y.root"},
        "/a.b/Simulated/BLOCK-1": {"/store/cms/a.b/w.root"},
    }


def test_checksum_is_kept_until_the_file_changes(tmp_path: Path) -> None:
    store, sums = tmp_path / "store", tmp_path / "sums"
    put(store, "cms/a/b.root")
    demo_content(store, sums)
    kept = json.loads(sums.read_text())
    kept["cms/a/b.root"][2] = "0badcafe"  # what only a kept one can be
    sums.write_text(json.dumps(kept))
    (dataset,) = demo_content(store, sums)
    assert dataset.files[0].adler32 == "0badcafe"
    os.utime(store / "cms/a/b.root", ns=(1, 1))
    (dataset,) = demo_content(store, sums)
    assert dataset.files[0].adler32 == adler32_of(store / "cms/a/b.root")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"cms/a/b.root": 7}', '{"x": [1]}', "null"])
def test_damaged_checksums_are_made_again(tmp_path: Path, text: str) -> None:
    store, sums = tmp_path / "store", tmp_path / "sums"
    put(store, "cms/a/b.root")
    sums.write_text(text)
    (dataset,) = demo_content(store, sums)
    assert dataset.files[0].adler32 == adler32_of(store / "cms/a/b.root")
    assert json.loads(sums.read_text())["cms/a/b.root"][2] == dataset.files[0].adler32


def test_empty_store_has_no_datasets(tmp_path: Path) -> None:
    assert demo_content(tmp_path / "none", tmp_path / "sums") == []


@given(st.text(max_size=260))
def test_name_is_one_that_rucio_takes(text: str) -> None:
    """The rule is that of ``rucio/common/schema/generic.py``."""
    letters = set("/ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_")
    fits = 0 < len(text) <= 250 and set(text) <= letters and text[0] not in ".-_"
    assert bool(NAME.fullmatch(text)) == fits
