"""Do files, stored images and the command line get the published model's answers, and plain words when they cannot?"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from kg import classify
from kg.classify import (
    class_list,
    classify_and_compare,
    classify_files,
    classify_image,
    classify_image_bytes,
    classify_item,
    classify_stored,
    nearest_items,
    similar_items,
    similar_to_image_bytes,
)
from kg.errors import DimensionMismatch, KorvaiError, NodeNotFound, StatementError, StoreError, UnreadableMedia
from kg.graph import Graph
from kg.publishing.publish import Publication, active_set, publish
from kg.settings import Settings
from tests.support.published import craft, image_id, publication, softmax, write

COLOURS = ("red", "green", "blue", "yellow")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Four small pictures, unlike each other."""
    folder = tmp_path_factory.mktemp("pictures")
    noise = np.random.default_rng(0)
    for n, colour in enumerate(COLOURS):
        plain = np.asarray(Image.new("RGB", (90, 70), colour), dtype=np.int16)
        noisy = plain + noise.integers(-40, 40, plain.shape, dtype=np.int16)
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / f"{n}.png")
    return sorted(folder.glob("*.png"))


@pytest.fixture(scope="module")
def tower_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real, tiny, untrained image tower, saved."""
    import timm
    import torch

    from kg.encoders.image import load_image_encoder
    from kg.encoders.tower import ImageTower

    folder = tmp_path_factory.mktemp("tower")
    torch.manual_seed(0)
    torch.save(timm.create_model("test_vit", pretrained=False, num_classes=0).state_dict(), folder / "weights.pt")
    ImageTower(load_image_encoder(f"timm:test_vit:{folder / 'weights.pt'}")).save(folder / "tower")
    return folder / "tower"


@pytest.fixture
def published(
    graph: Graph, store, reporter, tmp_path: Path, pictures: list[Path], tower_dir: Path
) -> Iterator[Publication]:
    """Four classes, each with the vector of one picture, and four items with those pictures."""
    from kg.encoders.tower import load_tower

    craft(graph, classes=4, items=4)
    vectors = load_tower(tower_dir).encode_images([Image.open(path) for path in pictures])
    made = publication(
        tmp_path, classes=4, items=4, dim=vectors.shape[1], class_vectors=vectors, image_vectors=vectors,
        tower_dir=tower_dir, scale=100.0,
    )  # fmt: skip
    publish(graph, store, made, reporter=reporter)
    yield made
    classify._towers.clear()


def test_a_file_that_is_not_in_the_graph(
    graph: Graph, settings: Settings, published: Publication, pictures: list[Path]
):
    for n, path in enumerate(pictures):
        scores = classify_image(graph, settings, path, domain="saree", k=4)
        wanted = softmax(
            100.0 / 1.5 * published.class_vectors.astype(np.float64) @ published.class_vectors[n].astype(np.float64)
        )
        assert scores[0].class_key == f"c0{n}"
        assert {s.class_key: s.probability for s in scores} == pytest.approx(
            dict(zip(published.class_keys, wanted, strict=True)), abs=1e-4
        )
        assert classify_image_bytes(graph, settings, path.read_bytes(), domain="saree", task="cluster", k=4) == scores
    assert scores[0].version == active_set(graph, "saree").version


def test_what_looks_like_a_picture_is_ranked_by_the_exact_cosine(
    graph: Graph, settings: Settings, published: Publication, pictures: list[Path]
):
    found = similar_to_image_bytes(graph, settings, pictures[2].read_bytes(), domain="saree", k=3)
    cosines = published.image_vectors.astype(np.float64) @ published.image_vectors[2].astype(np.float64)
    best = np.argsort(-cosines)[:3]
    assert [one.item for one in found] == [f"i{n:02}" for n in best] and best[0] == 2
    assert [one.image_id for one in found] == [image_id(n) for n in best]
    assert [one.score for one in found] == pytest.approx(cosines[best], abs=1e-4)
    both = classify_and_compare(graph, settings, pictures[2].read_bytes(), domain="saree", k=4, similar=3)
    assert both == (classify_image(graph, settings, pictures[2], domain="saree", k=4), found)


def test_bad_files_are_named_and_the_others_go_on(
    graph: Graph, settings: Settings, published: Publication, pictures: list[Path], tmp_path: Path
):
    (tmp_path / "broken.png").write_bytes(pictures[0].read_bytes()[:200])
    (tmp_path / "text.jpg").write_text("not a picture")
    paths = [tmp_path / "broken.png", pictures[1], tmp_path / "text.jpg", tmp_path / "absent.png", pictures[2]]
    answers = dict(classify_files(graph, settings, paths, domain="saree", k=1))
    assert list(answers) == paths
    assert [answers[pictures[n]][0].class_key for n in (1, 2)] == ["c01", "c02"]
    for path in (paths[0], paths[2], paths[3]):
        assert isinstance(answers[path], UnreadableMedia)
        assert path.name in str(answers[path])


def test_images_and_items_of_the_graph(graph: Graph, published: Publication):
    assert classify_stored(graph, "saree", None, image_id(2), k=1)[0].class_key == "c02"
    assert classify_item(graph, "saree", None, "i03", k=1)[0].class_key == "c03"
    assert [s.item for s in nearest_items(graph, "saree", None, "c01", k=1)] == ["i01"]
    assert "i01" not in [s.item for s in similar_items(graph, "saree", None, "i01", k=3)]
    assert [row["class"] for row in class_list(graph, "saree")] == ["c00", "c01", "c02", "c03"]


def test_every_reason_for_no_answer_is_said(
    graph: Graph, settings: Settings, published: Publication, pictures: list[Path]
):
    write(graph, "CREATE (:Saree {name: 'bare'}), (:Saree {name: 'new'})-[:HAS_IMAGE]->(:Image {sha256: 'fresh'})")
    write(graph, "CREATE (:Cluster {name: 'unranked'})")
    for ask, says in (
        (lambda: classify_stored(graph, "saree", None, "absent"), "image absent: not in the graph"),
        (lambda: classify_stored(graph, "saree", None, "fresh"), "image fresh: .* has no vector of it yet"),
        (lambda: classify_item(graph, "saree", None, "absent"), "Saree 'absent': not in the graph"),
        (lambda: classify_item(graph, "saree", None, "bare"), "'bare': has no image"),
        (lambda: similar_items(graph, "saree", None, "new"), "has no vector of it yet"),
        (lambda: nearest_items(graph, "saree", None, "absent"), "'absent': no such class"),
        (
            lambda: nearest_items(graph, "saree", None, "unranked"),
            "'unranked': it has no vector yet; run `korvai refresh`",
        ),
    ):
        with pytest.raises(NodeNotFound, match=says):
            ask()
    write(graph, f"MATCH (c:Cluster) REMOVE c.`{active_set(graph, 'saree').class_property}`")
    with pytest.raises(NodeNotFound, match="no class node carries a vector"):
        classify_image(graph, settings, pictures[0], domain="saree")


def test_nothing_published_is_said_before_the_image_is_read(graph: Graph, settings: Settings, pictures: list[Path]):
    craft(graph)
    for ask in (
        lambda: classify_image(graph, settings, pictures[0], domain="saree"),
        lambda: classify_stored(graph, "saree", None, image_id(0)),
        lambda: similar_items(graph, "saree", None, "i00"),
    ):
        with pytest.raises(NodeNotFound, match="nothing is published yet"):
            ask()


def test_a_version_without_its_tower_says_where_it_should_be(
    graph: Graph, settings: Settings, store, reporter, tmp_path: Path, pictures: list[Path], tower_dir: Path
):
    craft(graph)
    publish(graph, store, publication(tmp_path, tower_dir=None), reporter=reporter)
    with pytest.raises(StoreError, match="KORVAI_STORE"):
        classify_image(graph, settings, pictures[0], domain="saree")
    publish(graph, store, publication(tmp_path, run="wrong", tower_dir=tower_dir), reporter=reporter)
    with pytest.raises(DimensionMismatch, match="64 numbers, its index holds 8"):
        classify_image(graph, settings, pictures[0], domain="saree")


def test_the_answer_follows_an_activation_between_tower_and_question(
    graph: Graph, settings: Settings, published: Publication, store, reporter, pictures: list[Path],
    monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    from kg.encoders.tower import ImageTower

    newer = published.model_copy(update={"config": {"run": "newer"}})
    encode = ImageTower.encode_images

    def overtaken(tower: ImageTower, images: list) -> np.ndarray:
        monkeypatch.setattr(ImageTower, "encode_images", encode)
        publish(graph, store, newer, reporter=reporter)
        return encode(tower, images)

    monkeypatch.setattr(ImageTower, "encode_images", overtaken)
    before = active_set(graph, "saree").version
    scores = classify_image(graph, settings, pictures[3], domain="saree")
    assert scores[0].class_key == "c03"
    assert scores[0].version == active_set(graph, "saree").version != before


def test_classifying_needs_no_training_code():
    code = (
        "import kg.classify, kg.publishing.publish, sys\n"
        "sys.exit(any(name.split('.')[0] in ('training', 'torch', 'dgl') for name in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2], timeout=60)


@pytest.fixture
def korvai(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    """Runs the command line's asking verbs: korvai("classify", …) -> result."""
    from cli import asking, context

    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(context, "settings", lambda: settings)
    app = typer.Typer()
    asking.register(app)
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_command_line_classifies_and_ends_with_1_when_a_file_was_bad(
    korvai, published: Publication, pictures: list[Path], tmp_path: Path
):
    good = korvai("classify", pictures[0], pictures[1])
    assert good.exit_code == 0
    assert good.output.index("c00") < good.output.index(pictures[1].name) < good.output.rindex("c01")
    (tmp_path / "text.jpg").write_text("not a picture")
    bad = korvai("classify", "--json", "-k", 1, tmp_path / "text.jpg", pictures[2])
    assert bad.exit_code == 1
    assert "text.jpg" in bad.stderr
    assert [c["class_key"] for c in json.loads(bad.stdout)["classes"]] == ["c02"]


def test_the_command_line_runs_a_saved_statement(korvai, graph: Graph, published: Publication):
    result = korvai("cypher", "images/classify", "--param", f"image_id={image_id(2)}", "-p", "k=2")
    assert result.exit_code == 0
    assert "probability" in result.output and "2 rows" in result.output
    assert active_set(graph, "saree").set in result.output  # whole, however narrow the terminal
    lines = korvai(
        "cypher", "images/classify", "-p", f"image_id={image_id(2)}", "-p", "k=2", "--json"
    ).stdout.splitlines()
    assert json.loads(lines[0])["class"] == "c02"
    assert "images/classify_vector" in korvai("cypher").output
    assert "tasks/take_token" in korvai("cypher", "--list").output


def test_the_command_line_asks_a_question_of_ones_own_and_never_writes(korvai, graph: Graph, published: Publication):
    answer = korvai("cypher", "--json", "--text", "MATCH (c:Cluster) RETURN c.name AS name ORDER BY name LIMIT 2")
    assert [json.loads(line) for line in answer.stdout.splitlines()] == [{"name": "c00"}, {"name": "c01"}]
    refused = korvai("cypher", "--text", "CREATE (:Motif {name: 'new'})").exception
    assert isinstance(refused, StatementError) and str(refused).startswith("your query: ")
    assert "not both" in str(korvai("cypher", "items/similar", "--text", "RETURN 1").exception)
    assert graph.user_query("MATCH (m:Motif) RETURN count(m)")[1] == [[0]]


def test_the_command_line_shows_a_statement_for_browser_without_a_server(korvai, monkeypatch: pytest.MonkeyPatch):
    from cli import context

    monkeypatch.setattr(context, "graph", None)
    shown = korvai("cypher", "images/classify", "-p", "image_id=it's", "--show").output
    assert shown.splitlines()[:4] == [
        r":param image_id => 'it\'s';", ":param domain => 'saree';", ":param task => 'cluster';", ":param k => 5;"
    ]  # fmt: skip
    assert "(c:`Cluster`)" in shown
    inline = korvai("cypher", "images/classify", "-p", "image_id=x", "--show", "--inline").output
    assert ":param" not in inline and "$" not in inline and "ranked[..5]" in inline


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["images/clasify"], "nearest: images/classify"),
        (["images/classify"], "--param image_id=… is missing; it takes image_id (STRING)"),
        (["images/classify", "-p", "image_id=x", "-p", "size=3"], "no parameter 'size'; it takes image_id"),
        (["images/classify", "-p", "image_id=x", "-p", "k=many"], "k is 'many', must be INTEGER"),
        (["images/classify", "-p", "image_id=x", "-p", "k=0"], "k is 0, must be 1 to 1000"),
        (["images/classify", "-p", "image_id"], "write it as KEY=VALUE"),
        (["images/classify", "-p", "image_id=x", "-p", "image_id=y"], "is given twice"),
        (["images/classify_vector", "-p", "version=v", "-p", "vector=@/nowhere"], "cannot be read"),
        (["images/classify_vector", "-p", "version=v", "-p", "vector={}"], "must be LIST<FLOAT>"),
        (["images/classify", "--slot", "class=Style", "-p", "image_id=x"], "'Style' is no node_type of saree"),
        (["images/classify", "--graph", "artgraph", "-p", "image_id=x"], "say which by --task: style, genre"),
        (["images/classify", "--graph", "stamps", "-p", "image_id=x"], "no such domain"),
        (["schema/domain_key"], "give --slot constraint=NAME"),
        (["tasks/take_token"], "add --write if you mean it"),
    ],
)
def test_the_command_line_says_what_is_wrong_in_one_line(korvai, arguments: list[str], says: str):
    result = korvai("cypher", *arguments)
    assert isinstance(result.exception, KorvaiError)
    assert says in str(result.exception)
    assert "\n" not in str(result.exception)


def test_a_statement_that_writes_runs_when_it_is_meant(korvai, graph: Graph):
    result = korvai("cypher", "tasks/take_token", "--write")
    assert result.exit_code == 0
    assert "1 rows" in result.output


def test_an_unknown_statement_is_a_statement_error(graph: Graph):
    with pytest.raises(StatementError, match="no such statement"):
        classify.statement_for(graph, "images/nothing", "saree")
