"""The ArtGAN lists as an artgraph: names, aliases, what is told of odd rows."""

import gzip

import pytest

from kg.errors import SchemaViolation
from kg.importers.artgan import read_artgan
from kg.progress import SilentReporter

_QUIET = SilentReporter()
_TRAIN = [
    "Impressionism/ada-vale_sea-1901.jpg,1",
    "Pointillism/ada-vale_dots.jpg,2",
    "Art_Nouveau_Modern/bo-lind_swan-1899(1).jpg,0",
]
_VALID = ["Art_Nouveau_Modern/ada-vale_sea-1901.jpg,0", "Impressionism/gr\u00e3\u00a9goire-m_field.jpg,1"]


@pytest.fixture
def folder(tmp_path):
    return _lists(tmp_path)


def _lists(folder, **files):
    wanted = {
        "style_class.txt": ["0 Art_Nouveau", "1 Impressionism", "2 Pointillism"],
        "style_train.csv": _TRAIN,
        "style_val.csv": _VALID,
        "genre_train.csv": ["Impressionism/ada-vale_sea-1901.jpg,4", "Realism/nobody_knows.jpg,4"],
    } | {name.replace("__", "."): lines for name, lines in files.items()}
    for name, lines in wanted.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode()))
    return folder


def _pairs(read, kind, target):
    return [tuple(row.values()) for row in read.columns.edges["Artwork", kind, target].to_pylist()]


def test_names_say_artist_title_and_year_and_classes_are_artgraphs(folder):
    read = read_artgan(folder, reporter=_QUIET)
    assert read.columns.check() == []
    artworks = {row["key"]: (row["title"], row["year"]) for row in read.columns.nodes["Artwork"].to_pylist()}
    assert artworks["ada-vale_sea-1901.jpg"] == ("sea", 1901)
    assert artworks["bo-lind_swan-1899(1).jpg"] == ("swan", 1899)
    assert artworks["ada-vale_dots.jpg"] == ("dots", None)
    assert set(_pairs(read, "Style", "Style")) == {
        ("ada-vale_sea-1901.jpg", "impressionism"),
        ("ada-vale_sea-1901~art_nouveau_modern.jpg", "art nouveau (modern)"),
        ("bo-lind_swan-1899(1).jpg", "art nouveau (modern)"),
        ("gr\u00e3\u00a9goire-m_field.jpg", "impressionism"),
    }
    assert _pairs(read, "Genre", "Genre") == [("ada-vale_sea-1901.jpg", "landscape")]
    assert read.columns.nodes["Style"]["key"].to_pylist() == ["art nouveau (modern)", "impressionism"]


def test_an_artists_misread_letters_are_put_right_in_the_title_only(folder):
    artists = read_artgan(folder, reporter=_QUIET).columns.nodes["Artist"].to_pylist()
    assert {artist["key"]: artist["title"] for artist in artists} == {
        "ada-vale": "Ada Vale",
        "bo-lind": "Bo Lind",
        "gr\u00e3\u00a9goire-m": "Grégoire M",
    }


def test_a_misread_blank_behind_an_artist_makes_no_second_artist(tmp_path):
    rows = ["Impressionism/bo-lind\u00e2\u00a0_sea.jpg,1", "Impressionism/bo-lind_moon.jpg,1"]
    _lists(tmp_path, style_val__csv=[], genre_train__csv=[], style_train__csv=rows)
    read = read_artgan(tmp_path, reporter=_QUIET)
    assert read.columns.nodes["Artist"].to_pylist() == [{"key": "bo-lind", "title": "Bo Lind"}]
    assert [artist for _, artist in _pairs(read, "Author", "Artist")] == ["bo-lind", "bo-lind"]


def test_every_row_that_is_not_taken_whole_is_told(folder):
    told = [(problem.file, problem.line, problem.reason) for problem in read_artgan(folder, reporter=_QUIET).problems]
    unknown, same, lost = told
    assert unknown[:2] == ("style_train.csv.gz", 2)
    assert "'Pointillism' is not one of ArtGraph's" in unknown[2]
    assert same[:2] == ("style_val.csv.gz", 1)
    assert "has the file name of Impressionism/ada-vale_sea-1901.jpg; kept as ada-vale_sea-1901~art" in same[2]
    assert lost == (
        "genre_train.csv.gz",
        2,
        "Realism/nobody_knows.jpg is in no style list; its genre is left out",
    )


def test_merging_makes_one_artwork_of_two_styles(folder):
    read = read_artgan(folder, reporter=_QUIET, merge=True)
    assert read.columns.nodes["Artwork"].num_rows == 4
    assert {key for name, key in _pairs(read, "Style", "Style") if name == "ada-vale_sea-1901.jpg"} == {
        "impressionism",
        "art nouveau (modern)",
    }


@pytest.mark.parametrize(
    ("row", "word"),
    [
        ("Impressionism/nobody.jpg,1", "not artist_title-year.jpg"),
        ("Impressionism/a_b.jpg,9", "style 9 has no name"),
        ("Impressionism/a_b.jpg", "1 columns instead of 2"),
        ("Impressionism/a_b.jpg,x", "not a number"),
        ("Impressionism/ada-vale_sea-1901.jpg,1", "was there already"),
    ],
)
def test_a_bad_row_is_told_by_file_and_line(tmp_path, row, word):
    _lists(tmp_path, style_val__csv=[], genre_train__csv=[], style_train__csv=[_TRAIN[0], row])
    (problem,) = read_artgan(tmp_path, reporter=_QUIET).problems
    assert (problem.file, problem.line) == ("style_train.csv.gz", 2)
    assert word in problem.reason


def test_a_folder_without_lists_is_refused(tmp_path):
    with pytest.raises(SchemaViolation, match=r"neither style_train\.csv nor"):
        read_artgan(tmp_path, reporter=_QUIET)


def test_the_real_lists_give_81446_artworks(shared_data):
    folder = shared_data / "artgan"
    if not folder.is_dir():
        pytest.skip("../shared/data/artgan is absent: no real lists to read")
    read = read_artgan(folder, reporter=_QUIET)
    assert read.columns.check() == []
    counts = read.columns.counts()
    assert (counts["Artwork"], counts["Artist"], counts["Style"], counts["Genre"]) == (81_446, 1_119, 22, 10)
    assert (counts["Artwork-Author-Artist"], counts["Artwork-Genre-Genre"]) == (81_446, 64_994)
    reasons = [problem.reason for problem in read.problems]
    assert sum("is not one of ArtGraph's" in reason for reason in reasons) == 81_446 - counts["Artwork-Style-Style"]
    assert sum("has the file name of" in reason for reason in reasons) == 1_349
