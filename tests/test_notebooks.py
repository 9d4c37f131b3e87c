"""Notebooks run from a clean kernel, import scalefit and pandas only, and show what they are stored with."""

import ast
import re

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager

from tests.reference.notebooks import FOLDER, execute, joined

NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
LIBRARIES = {"scalefit", "pandas", "tempfile"}  # the last for a folder that leaves no trace
MAKING_MODELS = {"pathlib", "pydoc_data", "tokenizers", "torch", "transformers"}  # where checkpoints are trained first
LARGEST = 400_000  # bytes
TRAINED = "trained"  # tag of cells whose numbers hang on how a processor rounds through a training
NUMBER = re.compile(r"(?<![\w.])[-−]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def notebook(path):
    return nbformat.read(path, as_version=4)


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook):
    return [output for cell in code(notebook) for output in cell.outputs]


def text(cell):
    """Everything that a cell shows as text."""
    shown = [output.get("text", "") or output.get("data", {}).get("text/plain", "") for output in cell.outputs]
    return "\n".join(
        "picture" if "object at" in character or character.startswith(("<", "(<")) else character for character in shown
    )


def kinds(cell):
    return [sorted(output.get("data", [output.get("name")])) for output in cell.outputs]


def differences(stored, now):
    """Say where two texts differ by more than another processor explains: words exactly, numbers nearly."""
    if NUMBER.sub("#", stored) != NUMBER.sub("#", now):
        return [f"stored:\n{stored}\nnow:\n{now}"]
    pairs = zip(NUMBER.findall(stored), NUMBER.findall(now), strict=True)
    return [f"{before} is now {other}" for before, other in pairs if not nearly(before, other)]


def nearly(one, other):
    """Whether two printed numbers differ by at most two in the last digit, or by a thousandth."""
    a, b = (float(number.replace("−", "-")) for number in (one, other))
    mantissa, _, power = one.partition("e")
    unit = 10.0 ** (int(power or 0) - len(mantissa.partition(".")[2]))
    return abs(a - b) <= max(2.01 * unit, 1e-3 * abs(a))


def test_the_lessons_are_there():
    assert {path.stem for path in NOTEBOOKS} == {
        "checkpoints_to_exponent", "first_refit", "laws_beyond_chinchilla", "posteriors_and_comparison",
        "reading_the_report", "ten_small_runs",
        "toy_model", "your_own_data",
    }  # fmt: skip


def test_only_scalefit_and_pandas_are_imported_and_no_helper_defined(path, notebook):
    allowed = LIBRARIES | MAKING_MODELS if path.stem == "checkpoints_to_exponent" else LIBRARIES
    for cell in code(notebook):
        for node in ast.walk(ast.parse(TransformerManager().transform_cell(cell.source))):
            assert not isinstance(node, ast.FunctionDef | ast.Lambda | ast.ClassDef | ast.ImportFrom)
            if isinstance(node, ast.Import):
                assert {name.name.split(".")[0] for name in node.names} <= allowed


def test_it_shows_pictures_and_ends_with_what_to_try_next(notebook):
    assert sum("image/png" in output.get("data", {}) for output in outputs(notebook)) >= 2
    assert notebook.cells[0].source.startswith("# ")
    assert notebook.cells[-1].cell_type == "markdown"
    assert "## What to try next\n" in notebook.cells[-1].source


def test_it_is_stored_as_it_was_run(notebook):
    assert [cell.execution_count for cell in code(notebook)] == [i + 1 for i in range(len(code(notebook)))]
    assert not [
        output for output in outputs(notebook) if output.output_type == "error" or output.get("name") == "stderr"
    ]
    assert all(set(cell.metadata) <= {"tags"} for cell in notebook.cells), "run python -m tests.reference.notebooks"
    assert notebook.metadata["language_info"] == {"name": "python"}, "run python -m tests.reference.notebooks"


def test_it_is_small_and_names_no_folder_of_a_machine(path, notebook):
    assert path.stat().st_size < LARGEST
    for cell in code(notebook):
        assert not re.search(r"(?<![\w.:/-])/(?:tmp|var|home|Users|root|work)/", text(cell))


@pytest.mark.slow
def test_what_is_stored_is_what_it_shows(path, notebook):
    for library in MAKING_MODELS if path.stem == "checkpoints_to_exponent" else ():
        pytest.importorskip(library, reason="needs the extra models")
    now = execute(notebook)
    for old, new in zip(code(notebook), code(now), strict=True):
        assert kinds(old) == kinds(new), old.source
        if TRAINED not in old.metadata.get("tags", []):
            assert not differences(text(old), text(new)), f"{old.source}\n(python -m tests.reference.notebooks)"


def test_what_is_printed_in_pieces_is_joined():
    pieces = [nbformat.v4.new_output("stream", text=text) for text in ("one ", "line\n")]
    picture = nbformat.v4.new_output("display_data", data={"image/png": ""})
    assert [output.get("text") for output in joined([*pieces, picture, pieces[1]])] == ["one line\n", None, "line\n"]


@pytest.mark.parametrize(
    ("stored", "now", "found"),
    [
        ("a 0.347 ± 0.015", "a 0.348 ± 0.015", False),
        ("objective 0.00101827401", "objective 0.00101827388", False),
        ("a 0.347 ± 0.015", "a 0.357 ± 0.015", True),
        ("it is not settled", "it is settled", True),
        ("1.8e6", "2.8e6", True),
    ],
)
def test_a_stale_output_is_found(stored, now, found):
    assert bool(differences(stored, now)) == found
