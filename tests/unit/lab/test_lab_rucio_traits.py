"""The settings of the Rucio part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from traitlets import TraitError
from traitlets.config import Config

from af_labextension.rucio.traits import RucioTraits

if TYPE_CHECKING:
    from pathlib import Path

INSTANCES = [{"name": "x", "rucio_base_url": "https://rucio.example.org"}]


def traits(**values: Any) -> RucioTraits:
    """Make the settings from a configuration, as Jupyter Server does."""
    return RucioTraits(config=Config({"RucioTraits": values}))


@pytest.mark.parametrize(
    "values",
    [
        {"rucio_url": "http://rucio.example.org"},
        {"rucio_url": "rucio.example.org"},
        {"rucio_url": "https://rucio.example.org/?a=b"},
        {"rucio_audience": "../rucio"},
        {"rucio_account": "a b"},
        {"cache_rules": [{"match": "root://a//"}]},
    ],
)
def test_settings_that_cannot_be_meant_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(TraitError):
        traits(**values)


async def test_settings_name_a_rucio_with_rules() -> None:
    rules = [{"match": "root://a//", "replace": "root://b//"}]
    settings = traits(rucio_url="https://r.example.org", rucio_account="x", cache_rules=rules)
    place = settings.rucio_place(None)
    server = await place.server()
    assert (server.url, server.audience, server.account) == ("https://r.example.org", "rucio", "x")
    assert [rule.replace for rule in await place.rules()] == ["root://b//"]


async def test_settings_win_over_the_hub() -> None:
    async def config() -> dict[str, Any]:
        return {"rucio": {"url": "https://hub.example.org", "audience": "other"}}

    assert (await traits().rucio_place(config).server()).url == "https://hub.example.org"
    settings = traits(rucio_url="https://mine.example.org")
    assert (await settings.rucio_place(config).server()).url == "https://mine.example.org"


async def test_the_settings_of_rucio_jupyterlab_serve_in_a_lab_without_hub() -> None:
    settings = RucioTraits(config=Config({"RucioConfig": {"instances": INSTANCES}}))
    assert (await settings.rucio_place(None).server()).url == "https://rucio.example.org"

    async def config() -> dict[str, Any]:
        return {"rucio": None}

    assert await settings.rucio_place(config).find() is None


async def test_settings_of_rucio_jupyterlab_that_would_leak_tokens_are_not_used(
    caplog: pytest.LogCaptureFixture,
) -> None:
    instances = [{"rucio_base_url": "http://rucio.example.org"}]
    settings = RucioTraits(config=Config({"RucioConfig": {"instances": instances}}))
    assert await settings.rucio_place(None).find() is None
    assert "RucioConfig.instances cannot be used" in caplog.text


def test_the_clients_configuration_is_where_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("RUCIO_HOME", raising=False)
    monkeypatch.setenv("RUCIO_CONFIG", str(tmp_path / "rucio.cfg"))
    assert traits().rucio_config_file == str(tmp_path / "rucio.cfg")
    monkeypatch.setenv("RUCIO_HOME", "/opt/rucio")
    assert traits().rucio_config_file == ""
    assert traits().terminal_config(traits().rucio_place(None), tmp_path) is None
