"""Are extracts read whichever way MediaWiki gives them, and are summaries short, visual, cached and honest?"""

from __future__ import annotations

import bz2
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from kg.errors import SchemaViolation, ServiceError, SettingsError
from kg.importers.mediawiki import read_extracts
from kg.snapshots.neighbour_text import neighbour_texts
from kg.store import Store
from kg.summaries.summariser import Endpoint, Extractive, first_words
from kg.summaries.summarising import cached
from tests.support.memory_snapshot import craft_snapshot

ANSWER = {
    "query": {
        "redirects": [{"from": "Kanchipuram", "to": "Kanchipuram silk sari"}],
        "pages": {
            "7": {
                "pageid": 7,
                "title": "Kanchipuram silk sari",
                "extract": "Heavy silk.\n\n== History ==\nWoven &amp; worn.",
                "fullurl": "https://en.wikipedia.org/wiki/Kanchipuram_silk_sari",
                "touched": "2026-01-31T10:00:00Z",
            },
            "-1": {"title": "Nowhere", "missing": ""},
        },
    }
}


def read(tmp_path, content, name="extracts.json"):
    path, problems = tmp_path / name, []
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_extracts(path, lambda where, why: problems.append((where.line, why)))), problems


def test_answers_of_the_api_are_read_with_address_and_redirects(tmp_path):
    (page,), problems = read(tmp_path, json.dumps(ANSWER))
    assert page.names == ("Kanchipuram silk sari", "Kanchipuram")
    assert page.text == "Heavy silk.\nWoven & worn." and page.date == "2026-01-31"
    assert page.url == "https://en.wikipedia.org/wiki/Kanchipuram_silk_sari"
    assert [why for _, why in problems] == ["page 'Nowhere' has no text"]
    listed = {"query": {"pages": [{"title": "Ilkal sari", "extract": "<p>Red <b>pallu</b>.</p>"}]}}
    (page,), _ = read(tmp_path, json.dumps([listed]))
    assert (page.text, page.url) == ("Red pallu.", "https://en.wikipedia.org/wiki/Ilkal_sari")


def test_pages_one_a_line_are_read_and_broken_lines_reported(tmp_path):
    lines = [
        json.dumps({"index": {"_id": "1"}}),
        json.dumps({"title": "Baroque", "text": "Dark and gold.", "url": "https://wiki/Baroque"}),
        "{broken",
        json.dumps(ANSWER),
    ]
    pages, problems = read(tmp_path, bz2.compress("\n".join(lines).encode()), "pages.json.bz2")
    assert [page.title for page in pages] == ["Baroque", "Kanchipuram silk sari"]
    assert problems[0][0] == 3 and problems[0][1].startswith("not JSON")


@pytest.mark.parametrize("content", ["{}", "", '{"query": {}}', b"\xff\xfe"])
def test_files_without_a_page_are_refused(tmp_path, content):
    with pytest.raises(SchemaViolation):
        read(tmp_path, content)


def test_neighbourhoods_are_told_largest_share_first():
    snapshot, _ = craft_snapshot()
    (text,) = neighbour_texts(snapshot, "Cluster", [2], most=2)
    source, target = snapshot.edges(("Cluster", "BODY_MOTIF", "Motif"))
    share = snapshot.shares(("Cluster", "BODY_MOTIF", "Motif"))
    mine = sorted(zip(-share[source == 2], target[source == 2], strict=True))[:2]
    assert text.startswith("cluster 2. Body colour: ")
    assert f"Body motif: {', '.join(f'motif {row}' for _, row in mine)}." in text
    assert "saree" not in text
    assert "Body motif" not in neighbour_texts(snapshot, "Cluster", [2], without=["BODY_MOTIF"])[0]
    assert "Body motif of: cluster" in neighbour_texts(snapshot, "Motif", [0])[0]


def by_length(texts):
    """Stands for an encoder: all sentences are alike but for one direction that their length gives."""
    vectors = np.array([[1.0, len(text) / 1000] for text in texts])
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_the_extract_keeps_whole_sentences_that_can_be_seen():
    seen = "Its red border shows woven gold peacocks."
    told = ["The society was registered in the year of the great flood.", "It has many members today."]
    text = " ".join([told[0], seen, told[1]])
    assert Extractive(by_length).summarise("x", text, words=9) == seen
    both = Extractive(by_length).summarise("x", text, words=12)
    assert both == f"{seen} {told[1]}", "in their own order"
    assert Extractive(by_length).summarise("x", text, words=3) == "Its red border …"
    assert Extractive(by_length).summarise("x", "Short.", words=50) == "Short."
    assert first_words("a b, c", 2) == "a b …"


class _Model(BaseHTTPRequestHandler):
    """What an OpenAI-compatible server answers; `asked` keeps the requests."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, self.headers.get("Authorization"), body))
        status, answer = self.server.answer
        self.send_response(status)
        self.end_headers()
        self.wfile.write(answer.encode())

    def log_message(self, *_):
        """Quiet."""


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), _Model) as opened:
        opened.asked = []
        opened.answer = 200, json.dumps({"choices": [{"message": {"content": "Red silk,  gold border. And more."}}]})
        opened.url = f"http://127.0.0.1:{opened.server_port}/v1"
        thread = threading.Thread(target=opened.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield opened
        opened.shutdown()
        thread.join()


def test_an_endpoint_is_asked_once_with_its_key(server, tmp_path, monkeypatch):
    monkeypatch.setenv("KORVAI_SUMMARISER_KEY", "secret")
    store, model = Store(tmp_path), Endpoint(server.url, "small")
    for _ in range(2):
        assert cached(store, model, "Ilkal", "A long text.", words=4) == "Red silk, gold border. …"
    ((path, key, body),) = server.asked
    assert (path, key, body["model"]) == ("/v1/chat/completions", "Bearer secret", "small")
    assert "Ilkal" in body["messages"][0]["content"] and "A long text." in body["messages"][0]["content"]
    cached(store, Endpoint(server.url, "other"), "Ilkal", "A long text.", words=4)
    cached(store, model, "Ilkal", "Another text.", words=4)
    assert len(server.asked) == 3, "another model or another text is asked anew"
    for path in (tmp_path / "summaries").iterdir():
        path.write_text("{")
    cached(store, model, "Ilkal", "A long text.", words=4)
    assert len(server.asked) == 4, "a damaged answer is asked again"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((401, "no"), "HTTP 401 .* set KORVAI_SUMMARISER_KEY"),
        ((200, "<html>"), "no chat completion"),
        ((200, json.dumps({"choices": []})), "no chat completion"),
        ((200, json.dumps({"choices": [{"message": {"content": " "}}]})), "answered nothing"),
    ],
)
def test_bad_answers_are_named(server, answer, said):
    server.answer = answer
    with pytest.raises(ServiceError, match=said):
        Endpoint(server.url, "small").summarise("x", "text", words=5)


def test_an_endpoint_that_is_not_there_is_named():
    with pytest.raises(ServiceError, match="is it running"):
        Endpoint("http://127.0.0.1:9", "small", timeout_s=2).summarise("x", "text", words=5)
    with pytest.raises(SettingsError, match="give an address"):
        Endpoint("localhost", "small")
