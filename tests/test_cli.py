"""The command line is a contract: options, one JSON object, exit codes, messages."""

import json
import os
import signal
import subprocess
import sys

import pandas as pd
import pytest

from scalefit import __version__
from scalefit.data.datasets import load_dataset
from tests.conftest import ROOT, take_ctrl_c

CONTRACT = {
    "law", "table", "n_rows", "rows_dropped", "loss", "space", "objective", "status", "message", "estimate",
    "log_estimate", "se", "interval", "method", "seed", "version",
}  # fmt: skip


def test_json_contract(run):
    code, out, _ = run(
        "fit",
        "chinchilla",
        "chinchilla",
        "--loss",
        "huber",
        "--drop-highest-loss",
        5,
        "--bootstrap",
        100,
        "--json",
    )
    record = json.loads(out)
    assert code == 0
    assert set(record) >= CONTRACT
    assert record["n_rows"] == 240
    assert record["rows_dropped"] == 5
    assert f"{record['objective']:.12g}" == "0.0010182740178"
    assert set(record["log_estimate"]) == {"A", "B"}
    assert record["interval"]["alpha"][0] < record["estimate"]["alpha"] < record["interval"]["alpha"][1]
    assert record["version"] == __version__


@pytest.mark.parametrize(("ties", "rows"), [("drop", 203), ("keep", 205)])
def test_ties(run, ties, rows):
    options = ("--drop-highest-loss", 40, "--ties", ties, "--bootstrap", 0, "--json")
    _, out, _ = run("fit", "chinchilla", "width_depth", *options)
    assert json.loads(out)["n_rows"] == rows


def test_group_levels_are_named_as_in_the_law(run):
    _, out, _ = run("fit", "llm_families", "family_width", "--space", "linear", "--bootstrap", 0, "--json")
    assert "E[OPT,wikitext]" in json.loads(out)["estimate"]


def test_not_identified_is_exit_code_1_and_still_written(run, tmp_path):
    where = 'subset == "hot_100b+"'
    code, out, _ = run(
        "fit",
        "gemstones",
        "width_depth",
        "--loss",
        "huber",
        "--where",
        where,
        "--bootstrap",
        0,
        "--out",
        "gem.fit",
    )
    assert code == 1
    assert out.startswith("not identified: ")
    assert (tmp_path / "gem.fit").exists()


def odd_table(path, *, bad_cell="", duplicate=False):
    frame = load_dataset("chinchilla").iloc[10:70]
    lines = ["Run;N (B);Train Tokens;Val Loss"]
    lines += [
        f"r{i};{row.params / 1e9:.6f};{row.tokens / 1e9:.4f}B;{row.loss:.6f}"
        for i, row in enumerate(frame.itertuples())
    ]
    if bad_cell:
        lines[5] = f"r4;1.5;20B;{bad_cell}"
    if duplicate:
        lines.append(lines[-1])
    path.write_text("\n".join(lines) + "\n")


MAPPING = "params=N (B)*1e9,tokens=Train Tokens,loss=Val Loss"


def test_an_odd_csv_is_read_right(run, tmp_path):
    odd_table(tmp_path / "my.txt", duplicate=True)
    code, out, err = run("fit", "my.txt", "chinchilla", "--map", MAPPING, "--bootstrap", 0, "--json")
    record = json.loads(out)
    assert code == 0, err
    direct = load_dataset("chinchilla").iloc[[*range(10, 70), 69]]
    direct.to_csv("direct.csv", index=False)
    _, again, _ = run("fit", "direct.csv", "chinchilla", "--bootstrap", 0, "--json")
    assert record["objective"] == pytest.approx(json.loads(again)["objective"], rel=1e-3)
    assert any("repeats an earlier one" in remark for remark in record["remarks"])


def test_a_nan_is_named_then_dropped_on_request(run, tmp_path):
    odd_table(tmp_path / "my.txt", bad_cell="nan")
    code, out, err = run("fit", "my.txt", "chinchilla", "--map", MAPPING, "--json")
    assert (code, out) == (2, "")
    assert "row 5" in err
    assert "--drop-invalid" in err
    code, out, _ = run("fit", "my.txt", "chinchilla", "--map", MAPPING, "--drop-invalid", "--bootstrap", 0, "--json")
    assert code == 0
    assert json.loads(out)["rows_dropped"] == 1


@pytest.mark.parametrize(
    ("content", "needle"),
    [
        ("", "empty"),
        ("params,tokens,loss\n", "row"),
        ("params,tokens,loss\n1e9,abc,3\n", "abc"),
        ("params,tokens,loss\n1e9,1e10,0\n2e9,1e10,2\n", "row 1"),
        ("params,tokens,loss\n1e9,1e10,-1\n2e9,1e10,2\n", "row 1"),
        ("params,tokens,loss\n1e9,inf,2\n2e9,1e10,2\n", "row 1"),
        ("params,tokens\n1e9,1e10\n", "loss"),
        ("params,tokens,loss\n" + "1e9,1e10,3\n" * 9, "constant"),
        ("params,tokens,loss\n1e9,1e17,3\n2e9,2e17,2\n", "2 rows"),
    ],
)
def test_bad_tables_are_exit_code_2(run, tmp_path, content, needle):
    (tmp_path / "bad.csv").write_text(content)
    code, out, err = run("fit", "bad.csv", "chinchilla", "--out", "never.fit", "--json")
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert needle in err
    assert not (tmp_path / "never.fit").exists()


@pytest.mark.parametrize(
    ("arguments", "needle"),
    [
        (["fit", "chinchila", "chinchilla"], "did you mean 'chinchilla'"),
        (["fit", "chinchilla", "loss ~ E + A/params^alpha +"], "^"),
        (["fit", "chinchilla", "loss ~ E + A/parms^alpha"], "did you mean 'params'"),
        (["fit", "chinchilla", "chinchilla", "--loss", "hubr"], "did you mean 'huber'"),
        (["fit", "chinchilla", "chinchilla", "--where", "famly == 1"], "famly"),
        (["fit", "chinchilla", "chinchilla", "--out", "no/such/folder/x.fit"], "cannot write"),
        (["datasets", "chinchila"], "did you mean 'chinchilla'"),
        (["predict", "none.fit"], "there is no file"),
        (["show", "none.fit"], "there is no file"),
    ],
)
def test_mistakes_are_answered_with_the_remedy(run, arguments, needle):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert needle in err


def test_save_show_predict(run):
    run("fit", "chinchilla", "chinchilla", "--loss", "huber", "--bootstrap", 200, "--out", "a.fit")
    code, out, _ = run("show", "a.fit")
    assert code == 0
    assert "pairs bootstrap, 200 resamples" in out
    code, out, _ = run("predict", "a.fit", "--at", "params=7B,tokens=1.4T", "--json")
    row = json.loads(out)["rows"][0]
    assert code == 0
    assert row["params"] == 7e9
    assert row["lo"] < row["predicted"] < row["hi"]
    code, _, _ = run("predict", "a.fit", "chinchilla", "--out", "p.csv")
    assert code == 0
    assert len(pd.read_csv("p.csv")) == 245


def test_every_kind_of_plot_is_drawn(run, tmp_path):
    run("fit", "llm_families", "family_width", "--bootstrap", 50, "--out", "a.fit")
    for kind in ("observed", "residuals", "term", "optima", "pairs", "density", "forest"):
        code, _, err = run("show", "a.fit", "--plot", kind, "--out", f"{kind}.svg")
        assert code == 0, err
        assert (tmp_path / f"{kind}.svg").stat().st_size > 2000


def test_at_names_what_it_lacks(run):
    run("fit", "chinchilla", "chinchilla", "--bootstrap", 0, "--out", "a.fit")
    code, _, err = run("predict", "a.fit", "--at", "params=7B")
    assert code == 2
    assert "--at lacks tokens; add tokens=VALUE" in err


def test_a_terminal_without_unicode_still_gets_its_result(tmp_path):
    command = [sys.executable, "-m", "scalefit", "fit", "chinchilla", "chinchilla", "--bootstrap", "0"]
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | {"PYTHONIOENCODING": "ascii"}, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert b"converged" in done.stdout


def test_units_through_the_mapping(run):
    frame = load_dataset("chinchilla")
    frame.assign(N=frame["params"] / 1e9)[["N", "tokens", "loss"]].to_csv("b.csv", index=False)
    _, out, _ = run(
        "fit", "b.csv", "chinchilla", "--map", "params=N*1e9", "--loss", "huber", "--bootstrap", 0, "--json"
    )
    assert f"{json.loads(out)['objective']:.10g}" == f"{0.00182601052307:.10g}"


def test_standard_input(run, monkeypatch):
    import io

    text = load_dataset("chinchilla").to_csv(index=False)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    code, out, _ = run("fit", "-", "chinchilla", "--bootstrap", 0, "--json")
    assert code == 0
    assert json.loads(out)["n_rows"] == 245


def test_datasets_and_info(run):
    code, out, _ = run("datasets", "--json")
    assert code == 0
    assert {record["name"] for record in json.loads(out)} >= {"chinchilla", "llm_families", "gemstones"}
    _, out, _ = run("datasets", "chinchilla")
    assert "nats/token" in out
    _, out, _ = run("info", "--json")
    assert json.loads(out)["scalefit"] == __version__


TELLING = """
import sys
from scalefit import terminal
terminal.ProgressLine.__call__ = lambda self, stage, done, total: print(stage, done, file=sys.stderr, flush=True)
from scalefit.cli import main
main()
"""


def test_ctrl_c_in_the_bootstrap(tmp_path):
    command = ["fit", "chinchilla", "width_depth", "--bootstrap", "3000000", "--out", "x.fit"]
    process = subprocess.Popen(
        [sys.executable, "-c", TELLING, *command], cwd=tmp_path, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"COLUMNS": "80", "PYTHONPATH": str(ROOT)}, preexec_fn=take_ctrl_c,
    )  # fmt: skip
    assert any("refitting resamples" in line for line in iter(process.stderr.readline, ""))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "interrupted; nothing was written" in err
    assert list(tmp_path.iterdir()) == []
