"""Do tables of any shape become a graph through a mapping, and say where they are wrong?"""

from __future__ import annotations

import csv
import gzip
from itertools import islice
from pathlib import Path

import pytest

from kg.errors import SchemaViolation
from kg.graph import Graph
from kg.importers.csv_tables import import_csv
from kg.progress import SilentReporter
from kg.schema import load_domain
from kg.store import Store

TATE = Path(__file__).parents[2] / "data" / "examples" / "tate" / "mapping.yaml"
DOMAIN = """
domain: shelf
item: Book
node_types:
  Book: {text: "{title}", key: isbn, title: title, properties: {title: STRING, year: INTEGER, words: LIST<STRING>}}
  Writer: {properties: {born: INTEGER}}
  Shelf: {}
relations:
  - {source: Book, type: BY, target: Writer, properties: {page: INTEGER}}
  - {source: Shelf, type: HOLDS, target: Book}
tasks: {shelf: {relation: BY, target: Writer}}
"""
MAPPING = """
domain: shelf.yaml
tables:
  - file: books.csv
    delimiter: ";"
    node: Book
    key: isbn
    properties: {title: title, year: year, words: words}
    separators: {words: ","}
    links:
      - {type: BY, target: Writer, column: writers, separator: "|", make: true, properties: {born: born}}
      - {type: HOLDS, target: Shelf, column: shelf, reverse: true, make: true}
  - file: extra.csv
    relation: [Book, BY, Writer]
    source: book
    target: writer
    properties: {page: page}
"""


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    (tmp_path / "shelf.yaml").write_text(DOMAIN, encoding="utf-8")
    (tmp_path / "mapping.yaml").write_text(MAPPING, encoding="utf-8")
    books = (
        'isbn;title;year;words;writers;born;shelf\n1;"One;\ntwo";1900;a, b,a;Ann|Bo;1850;top\n2;x;soon;;Bo;;top\n3;y\n'
    )
    (tmp_path / "books.csv").write_text(books, encoding="utf-8")
    (tmp_path / "extra.csv").write_text("book,writer,page\n2,Ann,7\n2,Nobody,8\n", encoding="utf-8")
    return tmp_path / "mapping.yaml"


def test_a_mapping_with_lists_links_and_relations(
    graph: Graph, store: Store, reporter: SilentReporter, shelf: Path
) -> None:
    report = import_csv(graph, store, shelf, reporter=reporter)
    assert report.created == {
        "Book": 2,
        "Writer": 2,
        "Shelf": 1,
        "Book-BY->Writer": 4,
        "Shelf-HOLDS->Book": 2,
    }
    assert [(Path(p.file).name, p.line) for p in report.problems] == [
        ("books.csv", 4),
        ("books.csv", 5),
        ("extra.csv", 3),
    ]
    assert "'soon'" in report.problems[0].reason
    books = graph.user_query("MATCH (b:Book) RETURN b.isbn, b.title, b.year, b.words ORDER BY b.isbn")[1]
    assert books == [["1", "One;\ntwo", 1900, ["a", "b"]], ["2", "x", None, None]]
    by = graph.user_query("MATCH (b)-[r:BY]->(w) RETURN b.isbn, w.name, w.born, r.page ORDER BY b.isbn, w.name")[1]
    assert by == [["1", "Ann", 1850, None], ["1", "Bo", 1850, None], ["2", "Ann", 1850, 7], ["2", "Bo", 1850, None]]
    again = import_csv(graph, store, shelf, reporter=reporter)
    assert (again.total_created, again.total_updated, len(again.problems)) == (0, 0, 3)


def test_files_whose_columns_are_the_properties(
    graph: Graph, store: Store, reporter: SilentReporter, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("name,birth\nclaude-monet,1840\neugene-boudin,1824\n", encoding="utf-8")
    (tmp_path / "t.csv").write_text("source,target\nclaude-monet,eugene-boudin\n", encoding="utf-8")
    domain = load_domain("artgraph")
    files = {"nodes": {"Artist": tmp_path / "a.csv"}, "relations": {"Teacher": tmp_path / "t.csv"}}
    report = import_csv(graph, store, domain, reporter=reporter, **files)
    assert report.created == {"Artist": 2, "Artist-Teacher->Artist": 1}
    assert graph.user_query("MATCH (a)-[:Teacher]->(b) RETURN a.birth - b.birth")[1] == [[16]]
    with pytest.raises(SchemaViolation, match="which of Artwork-CompletedIn-Country, Artwork-CompletedIn-City"):
        import_csv(graph, store, domain, relations={"CompletedIn": tmp_path / "t.csv"}, reporter=reporter)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("node: Book", "node: Bok", "has no relation Bok-BY-Writer"),
        ("type: BY, target: Writer, column", "type: BUY, target: Writer, column", "no relation Book-BUY-Writer"),
        ("key: isbn", "key: ean", "no column 'ean'; the file has isbn"),
        ("file: books.csv", "file: none.csv", "cannot be read"),
        ("    key: isbn\n", "", "give either node and key"),
        ("domain: shelf.yaml", "domain: nothing", "no such domain"),
        ("tables:", "tabels:", "must hold `domain` and `tables`"),
    ],
)
def test_a_wrong_mapping_is_refused_in_one_line(
    graph: Graph, store: Store, reporter: SilentReporter, shelf: Path, old: str, new: str, says: str
) -> None:
    shelf.write_text(MAPPING.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(SchemaViolation, match=says) as caught:
        import_csv(graph, store, shelf, reporter=reporter)
    assert "\n" not in str(caught.value)
    assert graph.user_query("MATCH (n:Book) RETURN count(n)")[1] == [[0]]


def test_real_museum_records(
    graph: Graph, store: Store, reporter: SilentReporter, shared_data: Path, tmp_path: Path
) -> None:
    """The first 3,000 of the Tate's records; all of them take a minute and are measured, not tested."""
    with gzip.open(shared_data / "tate" / "artworks.csv.gz", "rt", encoding="utf-8", newline="") as whole:
        rows = list(islice(csv.reader(whole), 3001))
    with gzip.open(tmp_path / "artworks.csv.gz", "wt", encoding="utf-8", newline="") as part:
        csv.writer(part).writerows(rows)
    report = import_csv(graph, store, TATE, folder=tmp_path, reporter=reporter)
    assert report.created["TateArtwork"] == 3000
    assert report.created["TateArtwork-Author->TateArtist"] == 3000
    assert not report.problems
    again = import_csv(graph, store, TATE, folder=tmp_path, reporter=reporter)
    assert (again.total_created, again.total_updated) == (0, 0)
