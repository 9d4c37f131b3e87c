"""Print the requirements of pyproject.toml for pip, each at its floor or as it stands.

``python tests/reference/floors.py report test`` lists ``name==floor`` for the dependencies and for these extras,
which ``make test-floor`` installs; with ``--newest`` it lists them as they stand, for ``make test-latest``. A
floor is written once, in pyproject.toml. Packages named after ``--without`` are left out, such as torch, whose
builds for CUDA take gigabytes.
"""

from __future__ import annotations

import argparse
import re
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"
REQUIREMENT = re.compile(r"([\w.-]+)\s*>=\s*([\w.]+)\s*(?:;.*)?")


def requirements(extras: list[str], without: list[str], *, newest: bool = False) -> list[str]:
    """Return one line for each requirement.

    Parameters
    ----------
    extras : list of str
        Extras of pyproject.toml besides its dependencies.
    without : list of str
        Names to leave out.
    newest : bool
        Leave the versions open above their floors.

    Returns
    -------
    list of str
        ``name==floor``, or ``name>=floor``.

    Raises
    ------
    ValueError
        When a requirement has no floor, which pip could not be held to.
    """
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    lines = []
    for line in wanted:
        match = REQUIREMENT.fullmatch(line.strip())
        if match is None:
            raise ValueError(f"{line!r} of pyproject.toml has no floor; write it as name>=version")
        if match[1] not in without:
            lines.append(f"{match[1]}{'>=' if newest else '=='}{match[2]}")
    return lines


def main() -> None:
    """Print the requirements."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("extras", nargs="*", help="extras of pyproject.toml")
    parser.add_argument("--without", nargs="*", default=[], help="packages to leave out")
    parser.add_argument("--newest", action="store_true", help="leave the versions open")
    options = parser.parse_args()
    print("\n".join(requirements(options.extras, options.without, newest=options.newest)))


if __name__ == "__main__":
    main()
