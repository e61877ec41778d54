"""Put the built front end into wheels and source distributions.

hatch-jupyter-builder would do nearly the same, but it also builds for an editable installation, and
hatchling copies shared data into those: a copy that no later build would renew. An editable
installation therefore gets neither; ``analysis-facility setup`` builds and links the front end.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FRONT_END = "af_labextension"
"""Folder of the front end's sources."""

SHARED = {
    "labextension": "share/jupyter/labextensions/af-labextension",
    "install.json": "share/jupyter/labextensions/af-labextension/install.json",
    "jupyter-config/af_labextension.json": (
        "etc/jupyter/jupyter_server_config.d/af_labextension.json"
    ),
}
"""What Jupyter looks for outside the Python packages, and where."""

AT_START = "readers/analysis_facility_readers.pth"
"""What Python runs whenever it starts; it lies beside the packages, not in one."""


class FrontEndHook(BuildHookInterface):  # type: ignore[type-arg]  # generic only for type checkers
    """Build the front end with npm and add it to the wheel's shared data; add the ``.pth`` file."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build, unless a source distribution brought the built front end along.

        Parameters
        ----------
        version
            ``standard`` or ``editable``.
        build_data
            What hatchling lets hooks change.

        Raises
        ------
        RuntimeError
            npm is missing.
        subprocess.CalledProcessError
            The build failed; npm has said why.
        """
        folder = Path(self.root) / FRONT_END
        at_start = folder / AT_START
        if version == "editable":
            build_data["force_include_editable"][str(at_start)] = at_start.name
            return
        # a checkout may hold an old build, a source distribution never does
        if not (Path(self.root) / "PKG-INFO").is_file():
            self._build(folder)
        if self.target_name == "wheel":
            build_data["force_include"][str(at_start)] = at_start.name
            for source, place in SHARED.items():
                build_data["shared_data"][str(folder / source)] = place

    def _build(self, folder: Path) -> None:
        npm = shutil.which("npm")
        if npm is None:
            raise RuntimeError(
                "npm is missing: the JupyterLab front end is built with Node.js >= 20."
            )
        # jupyter-builder, which bundles the extension, is a script of the building Python
        path = os.pathsep.join((sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)))
        environment = {**os.environ, "PATH": path}
        self.app.display_info("Building the JupyterLab front end")
        for arguments in (["ci", "--no-progress"], ["run", "build:prod"]):
            subprocess.run([npm, *arguments], cwd=folder, env=environment, check=True)
