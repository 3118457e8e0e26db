"""Do extracts and summaries reach the graph with their source, and is a machine's text never taken for a person's?"""

from __future__ import annotations

import json

from kg.importers.descriptions import import_extracts
from kg.importers.undo import undo_import
from kg.schema import load_domain
from kg.summaries.summarising import summarise_graph
from tests.support.published import rows, write

TEXTS = """MATCH (c:Cluster) RETURN c.name, c.description, c.description_source, c.summary, c.summary_source
ORDER BY c.name"""


class Shout:
    """A summariser of which everything is known."""

    name = "shout"

    def __init__(self):
        self.asked = []

    def summarise(self, title, text, *, words):
        self.asked.append(text)
        return f"{title}!"


def test_texts_of_people_stay_and_texts_of_machines_say_so(graph, store, tmp_path, reporter):
    domain, file = load_domain("saree"), tmp_path / "extracts.json"
    write(graph, "UNWIND ['Ilkal', 'Paithani'] AS n CREATE (:Cluster {name: n})")
    pages = [{"title": "Ilkal (town)", "extract": "Red pallu."}, {"title": "Delhi", "extract": "A city."}]
    file.write_text(json.dumps({"query": {"pages": pages}}))
    report = import_extracts(graph, store, domain, file, labels=["Cluster"], reporter=reporter)
    assert [problem.reason for problem in report.problems] == ["page 'Delhi' fits no node of saree"]
    described = ["Ilkal", "Red pallu.", "https://en.wikipedia.org/wiki/Ilkal_(town)", None, None]
    assert rows(graph, TEXTS) == [described, ["Paithani", None, None, None, None]]
    licence = rows(graph, "MATCH (c:Cluster {name: 'Ilkal'}) RETURN c.description_licence")
    assert licence == [["CC BY-SA 4.0"]]

    before = rows(graph, TEXTS)
    _, found = summarise_graph(graph, store, domain, Shout(), dry_run=True, reporter=reporter)
    assert {s.key: s.property for s in found} == {"Ilkal": "summary", "Paithani": "description"}
    assert rows(graph, TEXTS) == before
    first, _ = summarise_graph(graph, store, domain, Shout(), reporter=reporter)
    assert rows(graph, TEXTS) == [
        [*described[:3], "Ilkal!", "machine:shout"],
        ["Paithani", "Paithani!", "machine:shout", None, None],
    ]
    again, found = summarise_graph(graph, store, domain, second := Shout(), reporter=reporter)
    assert second.asked == [], "what a machine wrote is not summarised again"
    assert not again.updated.total() and {s.property for s in found} == {"summary", "description"}
    undo_import(graph, store, first.batch, reporter=reporter)
    assert rows(graph, TEXTS) == before
