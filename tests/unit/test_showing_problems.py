"""Is a reason that many rows share told once, with its count?"""

from cli.importing import _alike_once
from kg.importers.report import Problem


def test_rows_alike_are_one_line():
    problems = [Problem("a.csv", 2, "no style"), Problem("a.csv", 3, "no artist"), Problem("b.csv", 9, "no style")]
    assert _alike_once(problems) == ["a.csv:2: no style (1 more rows like this)", "a.csv:3: no artist"]
    many = [Problem("a.csv", n, f"reason {n}") for n in range(25)]
    assert _alike_once(many)[-1] == "… and 5 more kinds" and len(_alike_once(many)) == 21
