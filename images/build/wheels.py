"""The Python packages of the image, laid down as wheels: nothing of them is run by an emulator."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from run import EPOCH, BuildError, Tools

FROM_SOURCE = ("lgpio", "spidev")
"""They have no wheel for Python 3.13 on arm64; compiled here for it."""

_PLATFORMS = ("manylinux_2_34_aarch64", "manylinux_2_28_aarch64", "manylinux_2_17_aarch64",
              "manylinux2014_aarch64")  # fmt: skip

_LAY_DOWN = f"""
cd /out
platforms="{" ".join(f"--platform {each}" for each in _PLATFORMS)}"
python3 -m pip download --quiet --no-input --require-hashes --no-deps --dest sources \\
    --no-binary :all: --no-build-isolation -r from-source.txt
python3 -m pip install --quiet --no-input --require-hashes --no-deps --target site \\
    $platforms --python-version 3.13 --implementation cp --only-binary :all: -r wheels.txt

# What the target's Python says of itself, for the compiler: its headers and its configuration.
mkdir target config
for each in /fetched/build/*.deb; do dpkg-deb -x "$each" target; done
cp target/usr/lib/python3.13/_sysconfigdata__*aarch64-linux-gnu.py config/
include=/out/target/usr/include
export PYTHONPATH=/out/config _PYTHON_HOST_PLATFORM=linux-aarch64
export _PYTHON_SYSCONFIGDATA_NAME=$(basename config/_sysconfigdata__*.py .py)
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
find site -name __pycache__ -prune -exec rm -rf {{}} +
rm -rf target config sources built site/bin
"""


def make_wheels(tools: Tools, requirements: Path, tree: Path, out: Path) -> None:
    """Make `site/`: every package of the requirements, and edgekernel of this tree.

    `out` is /out in the tools root, and what was fetched is at /fetched.
    """
    wheels, sources = _split(requirements)
    (out / "wheels.txt").write_text(wheels)
    (out / "from-source.txt").write_text(sources)
    _build_edgekernel(tree, out / "edgekernel")
    tools.shell(_LAY_DOWN)


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


def _build_edgekernel(tree: Path, folder: Path) -> None:
    """Build the wheel of this tree, by this Python: it is the same for every processor."""
    shutil.rmtree(folder, ignore_errors=True)
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-input", "--no-deps",
         "--no-build-isolation", "--disable-pip-version-check", "--wheel-dir", str(folder),
         str(tree)],
        capture_output=True, text=True, check=False, env={"SOURCE_DATE_EPOCH": str(EPOCH)},
    )  # fmt: skip
    if done.returncode:
        raise BuildError(f"the wheel of edgekernel: {done.stderr.strip()}")
