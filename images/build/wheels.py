"""The Python packages of the image, laid down as wheels: nothing of them is run by an emulator."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from images.build.run import EPOCH, BuildError, Tools

FROM_SOURCE = ("lgpio", "spidev")
"""They have no wheel for Python 3.13 on arm64; compiled here for it."""

_PLATFORMS = ("manylinux_2_34_aarch64", "manylinux_2_28_aarch64", "manylinux_2_17_aarch64",
              "manylinux2014_aarch64")  # fmt: skip

_COMPILE = """
cd /out
# What the target's Python says of itself, for the compiler: its headers and its configuration.
mkdir target config
for each in /fetched/build/*.deb; do dpkg-deb -x "$each" target; done
cp target/usr/lib/python3.13/_sysconfigdata__aarch64-linux-gnu.py config/
include=/out/target/usr/include
export PYTHONPATH=/out/config _PYTHON_HOST_PLATFORM=linux-aarch64
export _PYTHON_SYSCONFIGDATA_NAME=_sysconfigdata__aarch64-linux-gnu
export CC=aarch64-linux-gnu-gcc LDSHARED="aarch64-linux-gnu-gcc -shared" PYPI=1
export CFLAGS="-O2 -g0 -ffile-prefix-map=/out=. -I$include/python3.13 -I$include"
for each in sources/*; do
    python3 -m pip wheel --quiet --no-input --no-deps --no-build-isolation --wheel-dir built "$each"
done
unset PYTHONPATH _PYTHON_HOST_PLATFORM _PYTHON_SYSCONFIGDATA_NAME
for each in built/*.whl edgekernel/*.whl; do
    python3 -m zipfile -e "$each" site
done
find site -name '*.so' | while read -r each; do
    case "$(aarch64-linux-gnu-objdump -f "$each" | grep architecture)" in
        *aarch64*) ;;
        *) echo "$each is for another processor" >&2; exit 1 ;;
    esac
done
find site -name __pycache__ -prune -exec rm -rf {} +
rm -rf target config sources built site/bin
"""


def make_wheels(tools: Tools, requirements: Path, tree: Path, out: Path) -> None:
    """Make `site/`: every package of the requirements, and edgekernel of this tree.

    `out` is /out in the tools root, and what was fetched is at /fetched.
    """
    wheels, sources = _split(requirements)
    (out / "wheels.txt").write_text(wheels)
    (out / "from-source.txt").write_text(sources)
    held = ["--require-hashes", "--no-deps"]
    _pip("download", *held, "--no-binary", ":all:", "--no-build-isolation",
         "--dest", out / "sources", "-r", out / "from-source.txt")  # fmt: skip
    _pip("install", *held, "--only-binary", ":all:", "--python-version", "3.13",
         "--implementation", "cp", *(f"--platform={each}" for each in _PLATFORMS),
         "--target", out / "site", "-r", out / "wheels.txt")  # fmt: skip
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", out / "edgekernel", tree)
    tools.shell(_COMPILE)


def _split(requirements: Path) -> tuple[str, str]:
    """Return the requirements that have wheels, and those that are compiled."""
    blocks: list[str] = []
    for line in requirements.read_text().splitlines(keepends=True):
        if line[:1].isalnum():
            blocks.append(line)
        elif blocks:
            blocks[-1] += line
    compiled = [each for each in blocks if each.partition("==")[0] in FROM_SOURCE]
    return "".join(each for each in blocks if each not in compiled), "".join(compiled)


def _pip(verb: str, *arguments: str | Path) -> None:
    """Run the pip of this computer, which knows how it reaches its package index."""
    command = [sys.executable, "-m", "pip", verb, "--quiet", "--no-input",
               "--disable-pip-version-check", *map(str, arguments)]  # fmt: skip
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise BuildError(f"pip {verb}: {done.stderr.strip()}")
