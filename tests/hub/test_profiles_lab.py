"""A real Lab by the local spawner: environment, limits, restart of the hub, end."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import psutil
import pytest

from af_hub.spawner.local.processes import start_mark
from testbed.profile_hub import environment_of, running_hub


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux")
async def test_lab_has_what_was_granted_and_leaves_nothing_when_it_ends(tmp_path: Path) -> None:
    async with running_hub(tmp_path, labs=True) as hub:
        status, _, _ = await hub.api(
            "POST", "/users/alice/server", {"user_options": {"profile": "small"}}
        )
        assert status in {201, 202}
        server = await hub.ready("alice")
        pid = server["state"]["pid"]
        env = environment_of(pid)
        home = tmp_path / "users" / "alice"
        assert env["HOME"] == str(home)
        assert psutil.Process(pid).cwd() == str(home)
        assert (home / "examples" / "first.ipynb").exists()
        assert len(os.sched_getaffinity(pid)) == 1
        assert env["CUDA_VISIBLE_DEVICES"] == ""
        assert env["AF_INSTANCE"] == "profile-hub-test"
        assert env["AF_USER"] == "alice"
        assert env["AF_GROUPS"] == "/cms/uscms"
        assert env["FROM_PROFILE"] == "{unescaped_username.__class__}"
        assert env["AF_HUB_API"] == f"{hub.url}/hub/api/af"
        runtime = Path(env["BEARER_TOKEN_FILE"]).parent
        assert stat.S_IMODE(runtime.stat().st_mode) == 0o700
        # one file for the variable and for those who look into the runtime folder
        assert env["BEARER_TOKEN_FILE"] == f"{env['XDG_RUNTIME_DIR']}/bt_u{os.geteuid()}"
        assert env["AF_TOKEN_DIR"] == f"{runtime}/tokens"
        assert env["OIDC_SOCK"] == f"{runtime}/oidc-agent"
        assert "BEARER_TOKEN" not in env
        token = env["JUPYTERHUB_API_TOKEN"]
        _, view, _ = await hub.api("GET", "/af/lab", token=token)
        assert view["server"]["profile"] == "small"
        assert view["identity"]["groups"] == ["/cms/uscms"]

        await hub.stop()
        assert psutil.pid_exists(pid)
        await hub.start()
        assert (await hub.ready("alice"))["state"]["pid"] == pid
        status, again, _ = await hub.api("GET", "/af/lab", token=token)
        assert (status, again["server"]) == (200, view["server"])

        # what a user left behind carries the server's mark
        with psutil.Popen(
            ["sleep", "300"], env={"AF_SERVER": env["AF_SERVER"]}, start_new_session=True
        ) as left:
            await hub.api("DELETE", "/users/alice/server")
            assert left.wait(timeout=30) == -9
        # gone, or a zombie where the system's first process collects none
        assert start_mark(pid) is None
        assert not runtime.exists()
        assert home.exists()
        assert (await hub.api("GET", "/af/lab", token=token))[0] == 403
