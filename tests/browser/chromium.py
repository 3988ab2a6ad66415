"""Find Chromium, or install Debian's: `python -m tests.browser.chromium`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find() -> str | None:
    """Return the path of an installed Chromium or Chrome, or `None`."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def install() -> bool:
    """Install Debian's package where that can be done without asking anybody; return whether there is one now."""
    if find() is None and shutil.which("apt-get") and os.geteuid() == 0:
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "chromium"]):
            if subprocess.run(command, env=quiet, stdout=subprocess.DEVNULL, check=False).returncode:
                break
    return find() is not None


if __name__ == "__main__":
    if not install():
        print("Chromium could not be installed: the tests in a browser will be skipped.", file=sys.stderr)
