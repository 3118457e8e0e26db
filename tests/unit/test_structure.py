"""Learning from scenes: losses against slow references and closed forms, the reader, sub-graphs, the recipes."""

import math
import random
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from kg.encoders.image import load_image_encoder
from kg.encoders.knowledge_encoder import KnowledgeEncoder
from kg.encoders.tower import ImageTower, load_tower
from kg.errors import EmptySplit, EncoderError, StoreError
from kg.progress import SilentReporter
from kg.rendering import render, rng_for
from kg.scenes.plausible import Plausible
from kg.scenes.scene import Scene, Thing
from kg.scenes.telling import Words, told_by_parser, triples_of
from training.engine import evaluate, fit
from training.losses.contrastive import info_nce
from training.losses.structure import hardest_in_batch_loss, hinge_loss, image_text_graph_loss
from training.recipes.mosaiclip import Config as MosaiConfig
from training.recipes.mosaiclip import MosaiClip
from training.recipes.structureclip import Config, StructureClip
from training.rendered_facts import look_with
from training.rendered_sentences import true_sentences
from training.structure.batches import Inputs, Plan, make_batch
from training.structure.captioned import Captioned, CaptionedImages
from training.structure.measuring import errors_removed, retrieval_top1, suite_figures
from training.structure.pictures import tokens_of
from training.structure.shown import facts_of, shown_by
from training.structure.subgraphs import subgraph_texts
from training.suites import Question, Suite

pytestmark = pytest.mark.usefixtures("one_thread")

SCENE = Scene(
    (
        Thing("body", "body", ("body_colour=red", "body=striped"), 0, 0, 100, 60),
        Thing("border", "border", ("border_colour=green",), 0, 70, 100, 20),
        Thing("m1", "peacock", ("zari=gold",), 10, 10, 10, 10),
        Thing("m2", "lotus", (), 10, 40, 10, 10),
    ),
    (("m1", "on", "body"), ("m1", "above", "m2"), ("m2", "below", "m1"), ("body", "above", "border")),
)
OTHER = Scene(
    (Thing("body", "body", ("body_colour=blue",)), Thing("border", "border", ("border_colour=black",)),
     Thing("m", "swan"), Thing("n", "lotus")),
    (("m", "on", "body"), ("m", "left of", "n"), ("n", "right of", "m")),
)  # fmt: skip
CAPTIONS = ("a red body with a green border", "a peacock above a lotus", "the body is red and the border is green")


def unit(n: int, dim: int = 6, seed: int = 0) -> torch.Tensor:
    return F.normalize(torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64), dim=-1)


# ---- losses ----------------------------------------------------------------------------------------------------------


def slow_graph_loss(image, text, belongs, scale, false):
    every = [*text, *false]
    to_text = to_image = 0.0
    for j, u in enumerate(image):
        below = sum(math.exp(scale * float(u @ v)) for v in every)
        mine = [k for k in range(len(text)) if belongs[j, k]]
        to_text += sum(-math.log(math.exp(scale * float(u @ text[k])) / below) for k in mine) / len(mine)
    for k, v in enumerate(text):
        below = sum(math.exp(scale * float(u @ v)) for u in image)
        mine = [j for j in range(len(image)) if belongs[j, k]]
        to_image += sum(-math.log(math.exp(scale * float(image[j] @ v)) / below) for j in mine) / len(mine)
    return (to_text / len(image) + to_image / len(text)) / 2


def test_the_graph_loss_is_its_equation_written_as_loops():
    image, text, false = unit(3), unit(5, seed=1), unit(4, seed=2)
    belongs = torch.tensor([[1, 1, 0, 0, 1], [0, 0, 1, 0, 1], [0, 0, 0, 1, 0]], dtype=torch.bool)
    fast = image_text_graph_loss(image, text, belongs, scale=7.0, false=false)
    assert float(fast) == pytest.approx(slow_graph_loss(image, text, belongs, 7.0, false), abs=1e-10)


def test_ignored_pairs_are_in_no_sum_of_the_graph_loss():
    image, text, false = unit(3), unit(3, seed=1), unit(2, seed=2)
    ignored = torch.zeros(3, 5, dtype=torch.bool)
    ignored[0, 1] = ignored[2, 3] = True  # text 1 is true of image 0, too, and false text 0 of image 2
    slow, every = 0.0, torch.cat([text, false])
    for j in range(3):
        right = math.exp(5.0 * float(image[j] @ text[j]))
        texts = sum(math.exp(5.0 * float(image[j] @ every[t])) for t in range(5) if not ignored[j, t])
        images = sum(math.exp(5.0 * float(image[i] @ text[j])) for i in range(3) if not ignored[i, j])
        slow -= (math.log(right / texts) + math.log(right / images)) / 6
    belongs = torch.eye(3, dtype=torch.bool)
    fast = image_text_graph_loss(image, text, belongs, scale=5.0, false=false, ignored=ignored)
    assert float(fast) == pytest.approx(slow, abs=1e-10)
    image.requires_grad_(True)
    image_text_graph_loss(image, text, belongs, scale=5.0, false=false, ignored=ignored).backward()
    assert torch.isfinite(image.grad).all()


def test_with_one_text_an_image_and_no_false_one_the_graph_loss_is_clips():
    image, text = unit(6), unit(6, seed=1)
    graph = image_text_graph_loss(image, text, torch.eye(6, dtype=torch.bool), scale=9.0)
    assert float(graph) == pytest.approx(float(info_nce(image, text, scale=9.0)), abs=1e-10)


def test_the_graph_loss_of_vectors_that_are_all_alike_is_the_mean_of_two_logarithms():
    same = unit(1).expand(4, -1)
    loss = image_text_graph_loss(same, same, torch.eye(4, dtype=torch.bool), scale=3.0, false=same[:3])
    assert float(loss) == pytest.approx((math.log(7) + math.log(4)) / 2, abs=1e-10)


def test_hinge_and_triplets_are_their_equations_written_as_loops():
    true, false = torch.tensor([0.9, 0.2]), torch.tensor([0.1, 0.3])
    assert float(hinge_loss(true, false, margin=0.2)) == pytest.approx((0.0 + 0.3) / 2)
    assert float(hinge_loss(true[:0], false[:0], margin=0.2)) == 0.0
    image, text = unit(4), unit(4, seed=1)
    c = (image @ text.T).tolist()
    for mean in (False, True):
        slow = 0.0
        for i in range(4):
            of_text = sum(c[j][i] for j in range(4)) / 4 if mean else max(c[j][i] for j in range(4) if j != i)
            of_image = max(c[i][j] for j in range(4) if j != i)
            slow += max(0, 0.2 - c[i][i] + of_image) + max(0, 0.2 - c[i][i] + of_text)
        fast = hardest_in_batch_loss(image, text, margin=0.2, mean_over_images=mean)
        assert float(fast) == pytest.approx(slow / 4, abs=1e-10)


# ---- the knowledge encoder -------------------------------------------------------------------------------------------


def test_knowledge_knows_direction_and_not_order_and_is_nothing_without_triples():
    torch.manual_seed(0)
    encoder = KnowledgeEncoder(torch.randn(20, 8), 6, layers=1).eval()
    triples = torch.zeros(4, 3, 3, 2, dtype=torch.long)
    triples[0, :2, :, 0] = torch.tensor([[1, 2, 3], [4, 5, 6]])
    triples[1, :2, :, 0] = torch.tensor([[4, 5, 6], [1, 2, 3]])  # the same triples in another order
    triples[2, :2, :, 0] = torch.tensor([[3, 2, 1], [4, 5, 6]])  # one of them reversed
    found = encoder(triples)
    assert torch.allclose(found[0], found[1], atol=1e-5)
    assert not torch.allclose(found[0], found[2], atol=1e-2)
    assert torch.allclose(found[:3].norm(dim=1), torch.ones(3), atol=1e-5)
    assert not found[3].any()
    found.sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in encoder.parameters())


def test_a_word_is_the_mean_of_its_tokens_written_as_a_loop():
    torch.manual_seed(0)
    encoder = KnowledgeEncoder(torch.randn(20, 8), 6, layers=1).eval()
    triples = torch.randint(1, 20, (5, 2, 3, 4))
    triples[:, :, :, 2:] *= torch.randint(0, 2, (5, 2, 3, 2))  # words of two to four tokens, with gaps
    slow = torch.zeros(5, 2, 8)
    for n, k in np.ndindex(5, 2):
        head, relation, tail = (
            torch.stack([encoder.words.weight[token] for token in word if token]).mean(0) for word in triples[n, k]
        )
        slow[n, k] = head + relation - tail
    expected = F.normalize(encoder.out(encoder.transformer(slow).mean(1)), dim=-1)
    assert torch.allclose(encoder(triples), expected, atol=1e-6)


def test_the_quick_form_of_attention_learns_the_same(data, encoder):
    recipe = built(StructureClip, Config(precision="32-true", knowledge_weight=1.0), data, encoder)
    batch, gradients = next(recipe.train_batches(0, torch.Generator().manual_seed(0), 0)), []
    recipe.net.double()
    for form in (SDPBackend.FLASH_ATTENTION, SDPBackend.MATH):
        recipe.net.zero_grad()
        with sdpa_kernel(form):
            recipe.net.images(batch["image"].double()).sum().backward()
            recipe.net.plain_texts(batch["text"]).sum().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in recipe.net.parameters() if p.grad is not None]))
    fused, plain = gradients
    assert float((fused - plain).norm() / fused.norm()) < 1e-6


# ---- reading and decomposing -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "triples"),
    [
        ("a red body with a green border", {("body", "is", "red"), ("border", "is", "green")}),
        ("the body is red and the border is green", {("body", "is", "red"), ("border", "is", "green")}),
        ("a peacock above a lotus", {("peacock", "above", "lotus")}),
        ("two lotuses to the right of a gold peacock",
         {("lotus", "is", "two"), ("lotus", "right of", "peacock"), ("peacock", "is", "gold")}),
        ("the border is not red", {("border", "is not", "red")}),
        ("a saree with peacocks but no lotuses", {("saree", "without", "lotus")}),
        ("a peacock on the red body, a green border", {("body", "is", "red"), ("border", "is", "green"),
                                                       ("peacock", "on", "body")}),
        ("the border is not above the body", set()),
        ("no red peacocks on the green border", {("border", "is", "green")}),
        ("a saree without red peacocks", {("saree", "without", "peacock")}),
        ("the border is not red with a gold peacock", {("border", "is not", "red"), ("peacock", "is", "gold")}),
        ("the border is not red or green", {("border", "is not", "red"), ("border", "is not", "green")}),
        ("there are no peacocks on the body", set()),
        ("🦚 নীল শাড়ি", set()),
        ("", set()),
    ],
)  # fmt: skip
def test_a_sentence_is_read_by_the_words_of_scenes(text, triples):
    words = Words.of_scenes([SCENE, OTHER])
    assert set(triples_of(words.tell(text))) == triples


def test_a_caption_and_its_swapped_form_differ_in_their_triples_alone():
    words = Words.of_scenes([SCENE, OTHER])
    true, false = (set(triples_of(words.tell(t))) for t in ("a peacock above a lotus", "a lotus above a peacock"))
    assert true == {(o, p, s) for s, p, o in false}


def test_captions_in_anybodys_words_are_read_by_the_parser():
    pytest.importorskip("spacy")
    told = told_by_parser(["a brown dog sitting on a couch"])[0]
    assert ("dog", "sit on", "couch") in triples_of(told)


def test_sub_graphs_are_smaller_than_the_whole_and_start_with_single_facts():
    words = Words.of_scenes([SCENE, OTHER])
    told = words.tell("a red body, a green border and a peacock on the body")
    for seed in range(20):
        made = subgraph_texts(told.scene, random.Random(seed), most=4)
        assert made[0].count(",") == 0
        assert len(made) == len(set(made)) <= 4
        facts = [set(triples_of(words.tell(text))) for text in made]
        assert all(part and part <= set(triples_of(told)) for part in facts)
    assert subgraph_texts(words.tell("a peacock").scene, random.Random(0), most=4) == []
    assert subgraph_texts(words.tell("two lotuses and a red body").scene, random.Random(0), most=4) == []


# ---- data and batches ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def encoder():
    return load_image_encoder("korvai-small")


def captioned(tokens: np.ndarray, **more) -> CaptionedImages:
    scenes = [SCENE if n % 2 == 0 else OTHER for n in range(len(tokens))]
    said = {id(SCENE): CAPTIONS, id(OTHER): ("a blue body with a black border", "a swan to the left of a lotus")}
    captions = [Captioned(n, text, s, s, whole=True) for n, s in enumerate(scenes) for text in said[id(s)]]
    half = len(tokens) // 2
    rows = {"train": np.arange(half), "valid": np.arange(half, len(tokens))}
    known = (Words.of_scenes(scenes), Plausible.of_scenes(scenes))
    return CaptionedImages(tokens, captions, rows, *known, **{"exact": True, **more})


@pytest.fixture(scope="module")
def data() -> CaptionedImages:
    return captioned(np.random.default_rng(0).normal(size=(16, 49, 192)).astype(np.float16))


def test_a_batch_has_false_texts_that_are_false_and_texts_that_belong(encoder, data):
    inputs = Inputs(encoder.clip.tokenizer, data)
    plan = Plan(subgraphs=2, false_texts=2, triples=True)
    batch = make_batch(data.of("train"), data, inputs, plan=plan, rng=random.Random(0))
    assert batch["belongs"].any(0).all() and batch["belongs"].any(1).all()
    assert len(batch["triples"]) == len(batch["text"]) + len(batch["false"]) > len(batch["text"])
    by_words = {tuple(row.tolist()) for row in batch["text"]}
    assert not by_words & {tuple(row.tolist()) for row in batch["false"]}
    same = (batch["text"][:, None] == batch["text"][None]).all(2)
    # the same words belong to the same images, whoever brought them
    assert all((batch["belongs"][:, k] == batch["belongs"][:, other]).all() for k, other in same.nonzero())
    assert (batch["belongs"][batch["false_image"], batch["false_of"]]).all()


def test_texts_that_are_true_of_other_pictures_do_not_count_against_them(encoder, data):
    inputs, rows = Inputs(encoder.clip.tokenizer, data), data.of("train")
    batch = make_batch(rows, data, inputs, plan=Plan(subgraphs=2, ignore=True), rng=random.Random(0))
    kept = make_batch(rows, data, inputs, plan=Plan(subgraphs=2), rng=random.Random(0))
    assert not kept["ignored"].any() and not (batch["ignored"][:, : len(batch["text"])] & batch["belongs"]).any()
    alike = np.arange(len(rows)) % 2 == 0  # every second picture has the same scene
    assert batch["ignored"][alike].any() and batch["ignored"][~alike].any()
    of_first = batch["belongs"] | batch["ignored"][:, : len(batch["text"])]
    told = of_first[:, of_first[0]]
    assert told[alike].all() and not told[~alike].any(), "what is true of one is true of all that look like it"


def test_what_scenes_show_is_what_the_renderer_says_of_them():
    drawn, sentences = [], []
    for n in range(12):
        rng = rng_for("suite_valid", n)
        drawn.append(render(look_with({}, rng), rng, size_px=128))
        sentences += true_sentences(drawn[-1], rng)
    scenes = [Scene(tuple(Thing(o.id, o.name, tuple(o.attributes), o.x, o.y, o.w, o.h) for o in picture.scene.objects),
                    tuple(picture.scene.relations)) for picture in drawn]  # fmt: skip
    words, shown = Words.of_scenes(scenes), [shown_by(scene) for scene in scenes]
    found = [
        (one.shows(facts_of(words.tell(sentence.text))), sentence.verdict(picture))
        for sentence in sentences
        for one, picture in zip(shown, drawn, strict=True)
    ]
    assert not [1 for shows, verdict in found if shows and verdict is False]
    true = [shows for shows, verdict in found if verdict]
    assert len(true) > len(sentences) and sum(true) > 0.5 * len(true), "and most of what is true is found"
    assert len([1 for shows, _ in found if not shows]) > 0.5 * len(found)


def test_false_forms_of_facts_are_made_of_what_is_there_and_are_false():
    turned = dict(shown_by(SCENE).turned())
    assert turned[("peacock", "above", "lotus")] == (("lotus", "above", "peacock"),)
    assert turned[("body", "is", "red")] == (("border", "is", "red"),)
    assert ("peacock", "is", "gold") not in turned, "nothing is known of the zari of anything else"
    assert ("body", "is", "striped") not in turned, "nor of any other pattern"
    assert ("peacock", "on", "body") not in turned, "nor of what lies elsewhere"
    assert turned[("body", "above", "border")] == (("border", "above", "body"),)
    shown = shown_by(SCENE)
    for (head, relation, tail), forms in turned.items():
        fact = (head, tail) in shown.attributed if relation == "is" else (head, relation, tail) in shown.related
        assert fact and not any(form in shown.related or form[::2] in shown.attributed for form in forms)


def test_a_false_place_is_told_of_what_can_lie_there():
    both = replace(SCENE, relations=(*SCENE.relations, ("m2", "on", "border")))
    turned = dict(shown_by(both).turned())
    assert turned[("peacock", "on", "body")] == (("lotus", "on", "body"), ("peacock", "on", "border"))
    assert turned[("lotus", "on", "border")] == (("peacock", "on", "border"), ("lotus", "on", "body"))


def test_facts_of_a_batch_are_those_of_its_pictures(encoder, data):
    inputs, rows = Inputs(encoder.clip.tokenizer, data), data.of("train")
    batch = make_batch(rows, data, inputs, plan=Plan(triples=True, facts=3), rng=random.Random(0))
    assert batch["fact"].shape == batch["turned"].shape == (3 * len(rows), 1, 3, 4)
    assert not (batch["fact"] == batch["turned"]).flatten(1).all(1).any()
    for n, fact, false in zip(batch["fact_image"].tolist(), batch["fact"], batch["turned"], strict=True):
        known = {inputs.facts([one]).numpy().tobytes(): forms for one, forms in data.turned(int(rows[n]))}
        forms = {inputs.facts([form]).numpy().tobytes() for form in known[fact.numpy().tobytes()]}
        assert false.numpy().tobytes() in forms
    partly = captioned(data.tokens, exact=False)
    assert not partly.turned(0), "what is not told of a picture may be true of it all the same"
    none = make_batch(rows, partly, inputs, plan=Plan(triples=True, facts=3), rng=random.Random(0))
    assert none["fact"].shape == none["turned"].shape == (0, 1, 3, 4) and not len(none["fact_image"])
    silent = captioned(data.tokens, may_say=lambda text: "above" not in text and text != "red border")
    kept = dict(silent.turned(0))
    assert kept and not any(fact[1] == "above" or ("border", "is", "red") in forms for fact, forms in kept.items())


def test_the_loss_of_facts_is_its_equation_written_as_a_loop(data, encoder):
    config = Config(scene_facts=2, facts_weight=0.5, precision="32-true")
    recipe = built(StructureClip, config, data, encoder)
    batch = next(recipe.train_batches(0, torch.Generator().manual_seed(0), 0))
    image = recipe.net.images(batch["image"])
    slow = 0.0
    for n, fact, false in zip(batch["fact_image"].tolist(), batch["fact"], batch["turned"], strict=True):
        true, wrong = (float((image[n] @ recipe.net.knowledge(one[None])[0]).detach()) for one in (fact, false))
        slow += 0.5 * math.log1p(math.exp(float(recipe.net.scale().detach()) * (wrong - true))) / len(batch["fact"])
    found = recipe.training_step(batch)[0]
    assert float(found["facts_loss"].detach()) == pytest.approx(slow, rel=1e-4)
    none = built(StructureClip, Config(precision="32-true"), data, encoder)
    batch = next(none.train_batches(0, torch.Generator().manual_seed(0), 0))
    assert not len(batch["fact"]) and "facts_loss" not in none.training_step(batch)[0]


def test_what_must_not_be_said_is_in_no_false_text(data):
    quiet = captioned(data.tokens, may_say=lambda text: "black" not in text)
    for seed in range(10):
        rng = random.Random(seed)
        for caption in quiet.captions:
            made = quiet.false_texts(caption.text, caption, rng, kinds=("replace_attribute", "swap_attributes"), most=5)
            assert not any("black" in text for text in made)


def test_a_split_without_captions_is_named(data):
    with pytest.raises(EmptySplit, match="no image of test has a caption"):
        data.of("test")


# ---- recipes ---------------------------------------------------------------------------------------------------------


def built(recipe_cls, config, data, encoder):
    torch.manual_seed(0)
    recipe = recipe_cls(config)
    recipe.build(data, encoder)
    return recipe


def test_behind_the_frozen_blocks_the_network_is_the_encoder(encoder, tmp_path):
    from kg.store import Store

    pictures = np.random.default_rng(0).integers(0, 255, (6, 128, 128, 3), dtype=np.uint8)
    args = {"blocks": 1, "reporter": SilentReporter()}
    tokens = tokens_of(pictures, encoder, Store(tmp_path), **args)
    assert tokens.shape == (6, 49, 192)
    recipe = built(StructureClip, Config(knowledge_weight=0), captioned(np.concatenate([tokens] * 2)), encoder)
    from PIL import Image

    whole = encoder.encode_images([Image.fromarray(picture) for picture in pictures])
    assert np.allclose(recipe.encode_images(tokens).numpy(), whole, atol=3e-3)
    # so is the model that a suite is asked of, and the encoder that is published
    images = [Image.fromarray(picture) for picture in pictures]
    assert np.allclose(recipe.suite_model().encode_images(images), whole, atol=1e-5)
    assert np.allclose(recipe.trained_encoder().encode_images(images), whole, atol=1e-5)
    assert np.array_equal(tokens_of(pictures, encoder, Store(tmp_path), **args), tokens)  # read, not made again


def test_a_caption_that_many_images_brought_is_found_by_any_of_them(data, encoder):
    same = replace(data, captions=[one._replace(text=CAPTIONS[0]) for one in data.captions])
    recipe = built(StructureClip, Config(precision="32-true"), same, encoder)
    with torch.no_grad():
        found = recipe.evaluate("valid")
    assert found["examples"] > 1 and found["found_top1"] == 1.0


@pytest.mark.parametrize("keep", [None, 0.5])
def test_a_published_tower_reads_texts_as_the_recipe_does(data, encoder, tmp_path, keep):
    recipe = built(StructureClip, Config(), data, encoder)
    if keep is not None:
        recipe = built(MosaiClip, MosaiConfig(knowledge_weight=0.4, keep=keep), data, encoder)
        with torch.no_grad():
            recipe.net.knowledge.out[1].weight.mul_(torch.linspace(-1, 2, recipe.net.dim)[:, None])  # it has learnt
    texts = [*CAPTIONS, "a lotus above a peacock", "no words of any scene", ""]
    wanted = recipe.encode_texts(texts).numpy()
    ImageTower(recipe.trained_encoder(), knowledge=recipe.knowledge()).save(tmp_path / "tower")
    found = load_tower(tmp_path / "tower")
    assert np.allclose(found.encode_texts(texts), wanted, atol=1e-4)
    plain = ImageTower(recipe.trained_encoder()).encode_texts(texts)
    assert not np.allclose(plain[1], wanted[1], atol=0.02) and np.allclose(plain[-2:], wanted[-2:], atol=1e-4)
    assert recipe.net.knowledge.training
    (tmp_path / "tower" / "knowledge.json").write_text("{}")
    with pytest.raises(StoreError, match=r"knowledge\.json is not what was published"):
        load_tower(tmp_path / "tower")


def test_texts_that_go_together_by_length_get_the_vectors_that_each_has_alone(data, encoder, monkeypatch):
    from training.structure import network

    monkeypatch.setattr(network, "_TEXTS_TOGETHER", 2)
    recipe = built(StructureClip, Config(knowledge_weight=0), data, encoder)
    said = ["a red body", "a saree with a red body, a green border and a peacock on the body", "a", *CAPTIONS]
    alone = torch.cat([recipe.encode_texts([text]) for text in said])
    assert torch.allclose(recipe.encode_texts(said), alone, atol=1e-5)


@pytest.mark.parametrize(
    ("recipe_cls", "config"),
    [
        (StructureClip, Config()),
        (StructureClip, Config(form="code", knowledge_weight=0.01)),
        (StructureClip, Config(knowledge_weight=0, false_texts="choices")),
        (StructureClip, Config(negatives_per_text=0)),
        (MosaiClip, MosaiConfig()),
    ],
)  # fmt: skip
def test_a_step_reaches_what_learns_and_nothing_else(recipe_cls, config, data, encoder):
    recipe = built(recipe_cls, config.model_copy(update={"batch_size": 8}), data, encoder)
    recipe.start_epoch(0)
    batch = next(recipe.train_batches(0, torch.Generator().manual_seed(0), 0))
    assert set(batch) == set(recipe.data_keys)
    losses, _ = recipe.training_step(batch)
    sum(losses.values()).backward()
    reached = {name for name, p in recipe.module().named_parameters() if p.grad is not None and p.grad.abs().sum()}
    assert {name.split("blocks.")[1][0] for name in reached if "trunk.blocks." in name} == {"3"}
    assert not any("patch_embed" in name for name in reached)
    assert any(name.startswith("text.transformer") for name in reached)
    assert any(name.startswith("knowledge") for name in reached) == (recipe.net.knowledge is not None)


def test_without_negatives_and_knowledge_structure_clip_is_plain_fine_tuning(data, encoder):
    recipe = built(StructureClip, Config(knowledge_weight=0, negatives_per_text=0, batch_size=4), data, encoder)
    batch = next(recipe.train_batches(0, torch.Generator().manual_seed(3), 0))
    batch["belongs"] = torch.eye(4, dtype=torch.bool)
    losses, _ = recipe.training_step(batch)
    image, text = recipe.net.images(batch["image"]), recipe.net.texts(batch["text"])
    clips = info_nce(image, text, scale=recipe.net.scale())
    assert {key: value.item() for key, value in losses.items()} == pytest.approx(
        {"contrast_loss": clips.item()}, abs=1e-5
    )


def test_training_goes_on_and_the_curve_of_mixed_weights_begins_and_ends_right(data, encoder, tmp_path):
    config = MosaiConfig(epochs=1, batch_size=4, learning_rate=1e-4, warmup_steps=0, precision="32-true")
    recipe = built(MosaiClip, config, data, encoder)
    before = evaluate(recipe, "valid")
    fit(recipe, run_dir=tmp_path)
    after = evaluate(recipe, "valid")
    recipe.module().eval()
    curve = recipe.interpolation((0.0, 0.5, 1.0))
    assert [point["keep"] for point in curve] == [0.0, 0.5, 1.0]
    assert {k: curve[0][k] for k in after} == pytest.approx(after)
    assert {k: curve[2][k] for k in before} == pytest.approx(before)
    assert evaluate(recipe, "valid") == pytest.approx(after)


def test_what_is_kept_of_the_start_is_in_all_that_is_used_and_not_in_training(data, encoder, tmp_path):
    quick = {"epochs": 1, "batch_size": 4, "learning_rate": 1e-3, "warmup_steps": 0, "precision": "32-true"}
    before = built(MosaiClip, MosaiConfig(), data, encoder).encode_texts(CAPTIONS)
    ends = {}
    for keep in (0.0, 1.0):
        recipe = built(MosaiClip, MosaiConfig(keep=keep, **quick), data, encoder)
        fit(recipe, run_dir=tmp_path / str(keep))
        recipe.module().eval()
        ends[keep] = recipe.encode_texts(CAPTIONS)
        assert not torch.equal(recipe.net.text.text_projection, encoder.clip.model.text.text_projection)
    assert torch.allclose(ends[1.0], before, atol=1e-5)
    assert not torch.allclose(ends[0.0], before, atol=1e-3)


def test_too_many_blocks_are_refused(data, encoder):
    with pytest.raises(EncoderError, match="it has 4"):
        built(StructureClip, Config(trained_blocks=9), data, encoder)


# ---- measuring -------------------------------------------------------------------------------------------------------


class _Answers:
    """A recipe whose images and texts lie where a table says."""

    def __init__(self, texts):
        self._texts = texts

    def encode_images(self, tokens):
        return F.normalize(torch.as_tensor(np.asarray(tokens, np.float32)), dim=-1)

    def encode_texts(self, texts, *, knowledge=True):
        return F.normalize(torch.tensor([self._texts[text] for text in texts]), dim=-1)


def test_figures_of_a_suite_by_part_and_kind():
    from collections import Counter

    texts = {"x": [1.0, 0.0], "y": [0.0, 1.0]}
    questions = [
        Question("attribute_swap", ("a",), ("x", "y"), "body/border"),
        Question("attribute_swap", ("b",), ("x", "y"), "body/border"),
        Question("length", ("c",), ("x", "y"), "length 09"),
        Question("length", ("d",), ("y", "x"), "length 05"),
        Question("held_out_object_relation", ("e",), ("x", "x"), "on"),  # a tie is wrong
    ]
    tokens = np.array([[1, 0.1], [0, 1], [1, 0], [1, 0], [1, 0]])
    found = suite_figures(_Answers(texts), Suite("rendered", questions, Counter()), tokens)
    assert found["attribute_swap"] == 0.5 and found["attribute_swap/body/border"] == 0.5
    assert found["length"] == 0.5 and found["length_8_up"] == 1.0 and found["unseen_compounds"] == 0.0
    assert found["mean"] == pytest.approx((0.5 + 0.5 + 0.0) / 3)


def test_retrieval_takes_the_same_words_for_the_same_caption():
    recipe = _Answers({"x": [1.0, 0], "y": [0, 1.0]})
    found = retrieval_top1(recipe, np.array([[1, 0], [1, 0], [0, 1]]), ["x", "x", "y"])
    assert found == {"image_top1": 1.0, "text_top1": 1.0}


def test_the_share_of_errors_that_is_gone():
    assert errors_removed({"p": 0.9}, {"p": 0.8}, "p") == pytest.approx(0.5)
    assert math.isnan(errors_removed({"p": 1.0}, {"p": 1.0}, "p"))
