"""Does the API hand Neo4j Browser a guide whose queries fit this graph, and let a page of another port have it?"""

from __future__ import annotations

from fastapi.testclient import TestClient

from api.main import create_app
from kg.curation.guide import guide_html
from kg.graph import Graph
from kg.schema import load_domain
from kg.settings import Settings
from tests.support.published import craft


def test_the_guide_is_served_with_examples_of_this_graph(graph: Graph, server: Settings) -> None:
    craft(graph)
    with TestClient(create_app(server)) as client:
        asked = {"Origin": "http://127.0.0.1:7474", "Access-Control-Request-Headers": "cache-control,pragma"}
        allowed = client.options("/guide?graph=saree", headers=asked)
        assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (204, "*")
        assert "pragma" in allowed.headers["access-control-allow-headers"]
        page = client.get("/guide?graph=saree")
        assert page.status_code == 200, page.text
        assert page.headers["access-control-allow-origin"] == "*"
        assert "i00" in page.text and "http://testserver/guide/korvai.grass" in page.text
        assert "node.Cluster" in client.get("/guide/korvai.grass").text
        assert client.get("/guide?graph=../../etc/passwd").status_code == 404


def test_every_domain_has_a_guide_without_a_server() -> None:
    for name in ("artgraph", "saree"):
        page = guide_html(load_domain(name), base_url="http://127.0.0.1:1")
        assert page.count('<pre class="runnable">') > 10
        assert "«" not in page and "ImageVector) RETURN" not in page
