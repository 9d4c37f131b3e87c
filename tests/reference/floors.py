"""Print the lowest versions that pyproject.toml allows, as constraints for pip.

``python -m tests.reference.floors report test`` lists ``name==floor`` for the dependencies and for these extras;
``make test-floor`` installs them. A floor is written once, in pyproject.toml. Packages named after ``--without`` are
left out, such as torch, whose builds for CUDA take gigabytes.
"""

from __future__ import annotations

import argparse
import re
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"
REQUIREMENT = re.compile(r"([\w.-]+)\s*>=\s*([\w.]+)\s*(?:;.*)?")


def floors(extras: list[str], without: list[str]) -> list[str]:
    """Return one ``name==version`` for each requirement.

    Parameters
    ----------
    extras : list of str
        Extras of pyproject.toml besides its dependencies.
    without : list of str
        Names to leave out.

    Raises
    ------
    ValueError
        When a requirement has no floor, which pip could not be held to.
    """
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    pinned = []
    for line in wanted:
        match = REQUIREMENT.fullmatch(line.strip())
        if match is None:
            raise ValueError(f"{line!r} of pyproject.toml has no floor; write it as name>=version")
        if match[1] not in without:
            pinned.append(f"{match[1]}=={match[2]}")
    return pinned


def main() -> None:
    """Print the constraints."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("extras", nargs="*", help="extras of pyproject.toml")
    parser.add_argument("--without", nargs="*", default=[], help="packages to leave out")
    options = parser.parse_args()
    print("\n".join(floors(options.extras, options.without)))


if __name__ == "__main__":
    main()
