"""Does a folder of paintings become an artgraph, in both layouts, with its oddities named?"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from PIL import Image

from kg.errors import SchemaViolation
from kg.graph import Graph
from kg.importers.wikiart import import_wikiart
from kg.progress import SilentReporter
from kg.store import Store

FACTS = {
    "cities": {"Paris": "France", "Le Havre": "France"},
    "artists": {
        "claude-monet": {
            "name": "Claude Monet",
            "birth": 1840,
            "death": 1926,
            "birth_place": {"city": "Paris", "country": "France"},
            "nationality": "French",
            "movements": ["Impressionism", "Plein air"],
            "training": [],
            "fields": ["painting"],
            "patrons": ["Ernest Hoschedé"],
            "teachers": ["Eugène Boudin"],
            "museums": [{"name": "Musée d'Orsay", "city": "Paris"}],
            "worked_in": ["Paris"],
            "sources": {"movements": "Tate+memory", "fields": "NGA", "patrons": "memory", "museums": "NGA"},
            "memory_values": {"movements": ["Plein air"]},
            "from_memory": ["patrons"],
        }
    },
}


def picture(path: Path, colour: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (32, 24), colour).save(path, "JPEG")
    return hashlib.sha1(path.read_bytes()).hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "w"
    sha1 = picture(root / "images/0.jpg", "blue")
    for name, colour in (("1", "red"), ("2", "green"), ("3", "black")):
        picture(root / f"images/{name}.jpg", colour)
    (root / "images/4.jpg").write_bytes((root / "images/3.jpg").read_bytes()[:-20])
    rows = [
        "file,style,genre,artist,artist_death,title,year,sha1,split",
        f"images/0.jpg,Impressionism,landscape,claude-monet,1926,water-lilies-1906,1906,{sha1},train",
        "images/1.jpg,Art Nouveau (Modern),nude_painting,alphonse-mucha,1939,aawn,,,valid",
        "images/2.jpg,Pointillism,,georges-seurat,1891,la-seine,,,train",
        f"images/3.jpg,Impressionism,landscape,claude-monet,1926,the-cliff,,{'0' * 40},train",
        "images/4.jpg,Impressionism,landscape,claude-monet,1926,torn,,,train",
        "images/9.jpg,Impressionism,landscape,claude-monet,1926,gone,,,holdout",
        "images/1.jpg,Impressionism,landscape,claude-monet,1926,water-lilies-1906,,,train",
        "images/1.jpg,Impressionism,landscape,,1926,x,,,train",
    ]
    (root / "labels.csv").write_text("\n".join(rows), encoding="utf-8")
    return root


def test_a_table_with_oddities(graph: Graph, store: Store, reporter: SilentReporter, folder: Path) -> None:
    report = import_wikiart(graph, store, folder, reporter=reporter)
    assert report.created["Artwork"] == 7
    assert report.created["Style"] == 2
    assert report.created["Image"] == 3  # 1.jpg hangs on two artworks
    said = [(p.line, p.reason) for p in report.problems]
    expected = [
        (4, "Style 'Pointillism' is not one"),
        (5, "its sha1 is"),
        (6, "truncated or damaged"),
        (7, "split 'holdout' is none of"),
        (7, "no such file"),
        (8, "another picture has the name claude-monet_water-lilies-1906.jpg"),
        (9, "file, artist or title is empty"),
    ]
    assert [line for line, _ in said] == [line for line, _ in expected]
    for (_, reason), (_, part) in zip(said, expected, strict=True):
        assert part in reason
    rows = graph.user_query(
        "MATCH (w:Artwork)-[:HAS_IMAGE]->(i) OPTIONAL MATCH (w)-[:Style]->(s) OPTIONAL MATCH (w)-[:Genre]->(g) "
        "RETURN w.name, w.title, w.year, s.name, g.name, i.split ORDER BY w.name"
    )[1]
    assert rows[0] == ["alphonse-mucha_aawn.jpg", "aawn", None, "art nouveau (modern)", "nude painting (nu)", "test"]
    assert rows[1] == [
        "claude-monet_water-lilies-1906.jpg",
        "water lilies",
        1906,
        "impressionism",
        "landscape",
        "train",
    ]
    assert rows[2][0].startswith("claude-monet_water-lilies-1906~")
    assert rows[3][0] == "georges-seurat_la-seine.jpg"
    assert rows[3][3] is None
    for uri in graph.user_query("MATCH (i:Image) RETURN i.uri")[1]:
        assert store.path(uri[0]).is_file()


def test_a_second_import_changes_nothing(graph: Graph, store: Store, reporter: SilentReporter, folder: Path) -> None:
    facts = folder / "facts.json"
    facts.write_text(json.dumps(FACTS), encoding="utf-8")
    first = import_wikiart(graph, store, folder, reporter=reporter, facts=facts)
    second = import_wikiart(graph, store, folder, reporter=reporter, facts=facts)
    assert (second.total_created, second.total_updated, second.batch) == (0, 0, None)
    assert len(second.problems) == len(first.problems)


def test_facts_become_published_relations_with_their_source(
    graph: Graph, store: Store, reporter: SilentReporter, folder: Path
) -> None:
    facts = folder / "facts.json"
    facts.write_text(json.dumps(FACTS), encoding="utf-8")
    report = import_wikiart(graph, store, folder, reporter=reporter, facts=facts)
    rows = graph.user_query("MATCH (a)-[r]->(b) WHERE r.source IS NOT NULL RETURN type(r), a.name, b.name, r.source")[1]
    assert sorted(rows) == [
        ["City", "Musée d'Orsay", "Paris", "NGA"],
        ["Country", "Musée d'Orsay", "France", "NGA"],
        ["Country", "Paris", "France", "memory"],
        ["Field", "claude-monet", "painting", "NGA"],
        ["Movement", "claude-monet", "Impressionism", "Tate"],
        ["Movement", "claude-monet", "Plein air", "memory"],
        ["Patrons", "claude-monet", "Ernest Hoschedé", "memory"],
        ["Teacher", "claude-monet", "eugene-boudin", "unknown"],
    ]
    monet = graph.user_query(
        "MATCH (a:Artist {name: 'claude-monet'}) RETURN a.title, a.birth, a.birth_place, a.museums"
    )[1]
    assert monet == [["Claude Monet", 1840, "Paris, France", ["Musée d'Orsay"]]]
    assert any("nothing is said of the artist 'alphonse-mucha'" in p.reason for p in report.problems)


def test_folders_by_style(graph: Graph, store: Store, reporter: SilentReporter, tmp_path: Path) -> None:
    root = tmp_path / "plain"
    picture(root / "Post_Impressionism/vincent-van-gogh_ears-of-wheat-1890(1).jpg", "gold")
    picture(root / "Realism/arnold-böcklin_the-sea.jpg", "navy")
    picture(root / "Romanticism/arnold-böcklin_the-sea.jpg", "navy")
    picture(root / "Symbolism/arnold-böcklin_the-sea.jpg", "grey")
    picture(root / "Symbolism/IMG0001.jpg", "white")
    (root / "Symbolism/readme.txt").write_text("no picture")
    report = import_wikiart(graph, store, root, reporter=reporter)
    rows = graph.user_query("MATCH (w:Artwork)-[:Style]->(s) RETURN w.name, w.year, s.name ORDER BY w.name")[1]
    assert rows[0] == ["arnold-böcklin_the-sea.jpg", None, "realism"]
    assert rows[1][0].startswith("arnold-böcklin_the-sea~")
    assert rows[2] == ["vincent-van-gogh_ears-of-wheat-1890(1).jpg", 1890, "post-impressionism"]
    assert len(rows) == 3
    assert sorted(p.file for p in report.problems) == [
        "Romanticism/arnold-böcklin_the-sea.jpg",
        "Symbolism/IMG0001.jpg",
        "Symbolism/arnold-böcklin_the-sea.jpg",
    ]
    assert import_wikiart(graph, store, root, reporter=reporter).total_created == 0


def test_all_classes(graph: Graph, store: Store, reporter: SilentReporter, folder: Path) -> None:
    report = import_wikiart(graph, store, folder, reporter=reporter, all_classes=True)
    assert (report.created["Style"], report.created["Genre"]) == (32, 18)
    assert graph.user_query("MATCH (s:Style:Class) WHERE s.description IS NOT NULL RETURN count(s)")[1] == [[32]]


def test_a_description_of_a_curator_survives(
    graph: Graph, store: Store, reporter: SilentReporter, folder: Path
) -> None:
    from kg.importers.descriptions import import_descriptions
    from kg.schema import load_domain

    import_wikiart(graph, store, folder, reporter=reporter)
    texts = folder / "d.csv"
    texts.write_text(
        "type,node,text,source,licence,date\nStyle,Impressionism,Light on water.,me,CC0,2026-01-01\nStyle,tv,x,y,,\n",
        encoding="utf-8",
    )
    report = import_descriptions(graph, store, load_domain("artgraph"), texts, reporter=reporter)
    assert report.updated["Style"] == 1
    assert [(p.line, p.reason) for p in report.problems] == [(3, "there is no Style 'tv'")]
    assert import_wikiart(graph, store, folder, reporter=reporter).total_updated == 0
    row = graph.user_query("MATCH (s:Style {name: 'impressionism'}) RETURN s.description, s.description_source")[1]
    assert row == [["Light on water.", "me"]]


def test_nothing_to_import_is_said(graph: Graph, store: Store, reporter: SilentReporter, tmp_path: Path) -> None:
    with pytest.raises(SchemaViolation, match="is not a folder"):
        import_wikiart(graph, store, tmp_path / "none", reporter=reporter)
    with pytest.raises(SchemaViolation, match=r"expected labels\.csv"):
        import_wikiart(graph, store, tmp_path, reporter=reporter)
    (tmp_path / "labels.csv").write_text("file,style\na,b\n")
    with pytest.raises(SchemaViolation, match="no column 'artist', 'title'"):
        import_wikiart(graph, store, tmp_path, reporter=reporter)
    (tmp_path / "bad.json").write_text("[]")
    with pytest.raises(SchemaViolation, match="not a facts file"):
        (tmp_path / "labels.csv").write_text("file,style,artist,title\na.jpg,Baroque,b,c\n")
        import_wikiart(graph, store, tmp_path, reporter=reporter, facts=tmp_path / "bad.json")


def test_real_paintings(graph: Graph, store: Store, reporter: SilentReporter, shared_data: Path) -> None:
    facts = shared_data / "facts" / "artists_facts.json"
    report = import_wikiart(graph, store, shared_data / "wikiart6", reporter=reporter, facts=facts)
    assert (report.created["Artwork"], report.created["Image"], report.created["Style"]) == (3000, 3000, 6)
    assert not report.problems
    splits = graph.user_query("MATCH (i:Image) RETURN i.split, count(*) ORDER BY i.split")[1]
    assert splits == [["test", 600], ["train", 2400]]
