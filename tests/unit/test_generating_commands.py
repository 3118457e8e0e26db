"""`korvai generate` shows, writes and refuses as it says, without any server."""

import pytest
from typer.testing import CliRunner

from cli.main import app
from kg.errors import StoreError
from kg.exchange.reading import read_exchange
from kg.progress import SilentReporter


@pytest.fixture
def run():
    return lambda *words: CliRunner().invoke(app, words)


def test_without_out_and_load_it_shows_what_it_would_make(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = run("generate", "artgraph", "--scale", "0.01", "--seed", "2")
    assert shown.exit_code == 0
    assert "1,465 nodes and 8,759 relations" in shown.output
    assert list(tmp_path.iterdir()) == []


def test_out_writes_a_folder_that_is_read_again_and_not_written_over(run, tmp_path):
    folder = tmp_path / "out"
    assert run("generate", "artgraph", "--scale", "0.01", "--out", str(folder)).exit_code == 0
    read = read_exchange(folder, reporter=SilentReporter())
    assert (read.problems, read.columns.counts()["Artwork"]) == ([], 1_165)
    again = run("generate", "artgraph", "--scale", "0.01", "--out", str(folder))
    assert isinstance(again.exception, StoreError)
    assert "new or empty" in str(again.exception)


def test_a_dry_run_writes_nothing(run, tmp_path):
    assert run("generate", "artgraph", "--scale", "0.01", "--out", str(tmp_path / "o"), "--dry-run").exit_code == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("scale", ["0.001", "20", "many"])
def test_a_scale_out_of_range_is_refused_in_a_line(run, scale):
    refused = run("generate", "artgraph", "--scale", scale)
    assert refused.exit_code == 2
    assert "--scale" in refused.output
