"""Is a date in words read as what it says, and never as something else?"""

import gzip
import re
from csv import DictReader
from pathlib import Path

import pytest

from kg.importers.dates import read_years

READ = [
    ("c.1590", 1590, 1590, False),
    ("1950 - 1954", 1950, 1954, True),
    ("1927 ; United States", 1927, 1927, True),
    ("1950-54", 1950, 1954, True),
    ("c.1799–1805", 1799, 1805, False),
    ("1901-12", 1901, 1912, True),
    ("1990-05", 1990, 1990, True),
    ("1890s", 1890, 1899, True),
    ("early 1890s", 1890, 1893, True),
    ("1720s-30s", 1720, 1739, True),
    ("19th century", 1801, 1900, True),
    ("late 15th century", 1461, 1500, True),
    ("15th-16th century", 1401, 1600, True),
    ("500 BC", -500, -500, True),
    ("490-480 BC", -490, -480, True),
    ("AD 79", 79, 79, True),
    ("12 May 1888", 1888, 1888, True),
    ("May 4, 1901", 1901, 1901, True),
    ("1888-05-12", 1888, 1888, True),
    ("before 1600", 1600, 1600, False),
    ("from 1890 to 1895", 1890, 1895, True),
    ("between 1590 and 1595", 1590, 1595, True),
    ("1912 or 1913", 1912, 1913, True),
    ("1912?", 1912, 1912, False),
    ("ca1900", 1900, 1900, False),
    ("1905, cast 1960", 1905, 1905, True),
    ("first published 1822, reprinted 1832", 1822, 1822, True),
    (1888, 1888, 1888, True),
]
UNREAD = [
    ("before the war", "no number"),
    ("n.d.", "not known"),
    ("date not known", "not known"),
    ("", "empty"),
    (None, "empty"),
    ("1950 - 1943", "ends .* before it begins"),
    ("12", "not a year"),
    ("1950 -", "not a year"),
    ("99999", "not a year"),
    ("1200 - 12 May", "not a year"),
    ("9" * 5000, "not a year"),
]


@pytest.mark.parametrize(("text", "first", "last", "sure"), READ)
def test_years_are_read(text: object, first: int, last: int, sure: bool):
    years, why = read_years(text)
    assert (years.first, years.last, years.sure, why) == (first, last, sure, "")


@pytest.mark.parametrize(("text", "reason"), UNREAD)
def test_what_cannot_be_read_comes_with_the_reason(text: object, reason: str):
    years, why = read_years(text)
    assert years is None
    assert re.search(reason, why)


def test_what_stands_beside_a_date_is_kept():
    assert read_years("ca. 1503 ; Florence, Italy")[0].beside == "Florence; Italy"


def test_nearly_all_dates_of_a_real_museum_are_read(shared_data: Path):
    with gzip.open(shared_data / "tate" / "artworks.csv.gz", "rt") as file:
        readings = [read_years(row["dateText"]) for row in DictReader(file)]
    unread = [why for years, why in readings if years is None]
    assert len(readings) == 69_202
    assert sum("not known" not in why for why in unread) <= 20
