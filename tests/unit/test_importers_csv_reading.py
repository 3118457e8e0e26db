"""Are tables read that people made, and does every row that cannot be taken name its physical line?"""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import pytest

from kg.errors import SchemaViolation
from kg.importers.csv_reading import read_header, read_table


def _read(path: Path, **form: object) -> tuple[list[tuple[int, dict[str, str]]], list[tuple[int, str]]]:
    problems: list[tuple[int, str]] = []
    rows = [
        (record.where.line, record.cells)
        for record in read_table(path, lambda where, reason: problems.append((where.line, reason)), **form)
    ]
    return rows, problems


def _file(tmp_path: Path, data: bytes, name: str = "t.csv") -> Path:
    (tmp_path / name).write_bytes(data)
    return tmp_path / name


def test_byte_order_mark_crlf_and_blank_lines(tmp_path: Path) -> None:
    rows, problems = _read(_file(tmp_path, b"\xef\xbb\xbfname,year\r\n\r\na,1\r\nb , 2\r\n"))
    assert rows == [(3, {"name": "a", "year": "1"}), (4, {"name": "b", "year": "2"})]
    assert problems == []


def test_quotes_across_lines_keep_physical_line_numbers(tmp_path: Path) -> None:
    rows, problems = _read(_file(tmp_path, b'name,text\na,"one\ntwo\nthree"\nb,x\nc\nd,y\n'))
    assert [line for line, _ in rows] == [2, 5, 7]
    assert rows[0][1]["text"] == "one\ntwo\nthree"
    assert [line for line, _ in problems] == [6]
    assert "1 fields, the header has 2" in problems[0][1]


def test_a_stray_quote_costs_one_line_not_the_rest(tmp_path: Path) -> None:
    good = "".join(f"k{n},v{n}\n" for n in range(3000))
    rows, problems = _read(_file(tmp_path, f'name,text\nbad,"never closed\n{good}'.encode()))
    assert [line for line, _ in problems] == [2]
    assert len(rows) == 3000
    assert rows[0] == (3, {"name": "k0", "text": "v0"})
    assert rows[-1][0] == 3002


def test_a_stray_quote_that_meets_another_is_ragged_and_recovers(tmp_path: Path) -> None:
    rows, problems = _read(_file(tmp_path, b'name,text\nbad,"open\nb,2\nc,"3"\nd,4\n'))
    assert [line for line, _ in problems] == [2]
    assert [cells["name"] for _, cells in rows] == ["b", "c", "d"]


def test_wrong_bytes_name_their_line(tmp_path: Path) -> None:
    path = _file(tmp_path, "name,year\nÉdouard,1\nÀ,2\nplain,3\n".encode("cp1252"))
    rows, problems = _read(path)
    assert [cells["name"] for _, cells in rows] == ["plain"]
    assert [line for line, _ in problems] == [2, 3]
    assert "0xc9" in problems[0][1]
    rows, problems = _read(path, encoding="cp1252")
    assert [cells["name"] for _, cells in rows] == ["Édouard", "À", "plain"]
    assert not problems


def test_utf16(tmp_path: Path) -> None:
    rows, problems = _read(_file(tmp_path, "name\nÉ\nb\n".encode("utf-16")), encoding="utf-16")
    assert [cells["name"] for _, cells in rows] == ["É", "b"]
    assert not problems


def test_fields_of_100_kb_are_taken_and_endless_ones_reported(tmp_path: Path) -> None:
    long, endless = "x" * 100_000, "y" * 200_000
    rows, problems = _read(_file(tmp_path, f"name,text\na,{long}\nb,{endless}\nc,z\n".encode()))
    assert [cells["name"] for _, cells in rows] == ["a", "c"]
    assert len(rows[0][1]["text"]) == 100_000
    assert [line for line, _ in problems] == [3]


def test_a_line_without_end_does_not_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    with path.open("wb") as file:
        file.write(b"name,text\na,1\n")
        file.seek(120_000_000)  # zeros that lie on no disk
        file.write(b"\nb,2\n")
    tracemalloc.start()
    rows, problems = _read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [(line, cells["name"]) for line, cells in rows] == [(2, "a"), (4, "b")]
    assert [line for line, _ in problems] == [3]
    assert "longer than" in problems[0][1]
    assert peak < 90_000_000


def test_gz_and_a_damaged_end(tmp_path: Path) -> None:
    data = gzip.compress("".join(["name,v\n", *(f"k{n},{n * 7919}\n" for n in range(20_000))]).encode())
    rows, problems = _read(_file(tmp_path, data, "t.csv.gz"))
    assert len(rows) == 20_000
    assert not problems
    rows, problems = _read(_file(tmp_path, data[: len(data) // 2], "u.csv.gz"))
    assert 0 < len(rows) < 20_000
    assert problems[-1][0] >= len(rows)
    assert "compression" in problems[-1][1]


def test_wrong_files_are_refused_with_what_they_have(tmp_path: Path) -> None:
    path = _file(tmp_path, b"a,b\n1,2\n")
    with pytest.raises(SchemaViolation, match=r"no column 'name'; the file has a, b"):
        _read(path, needed=("name",))
    with pytest.raises(SchemaViolation, match="cannot be read"):
        _read(tmp_path / "none.csv")
    with pytest.raises(SchemaViolation, match="empty"):
        _read(_file(tmp_path, b"", "empty.csv"))
    with pytest.raises(SchemaViolation, match="occur twice"):
        _read(_file(tmp_path, b"a,a\n1,2\n", "twice.csv"))
    with pytest.raises(SchemaViolation, match="no encoding"):
        _read(path, encoding="klingon")
    assert read_header(path) == ["a", "b"]
