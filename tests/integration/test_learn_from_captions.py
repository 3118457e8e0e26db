"""A graph of drawn sarees, whose captions and scenes are learnt from, published as vectors that texts are asked for."""

import numpy as np
import pytest

from kg.importers.saree import import_saree
from kg.publishing.activation import active_set
from kg.schema import TEXT_TASK, load_domain
from training.configuration import merge_config
from training.recipes.mosaiclip import Config as MosaiConfig
from training.recipes.structureclip import Config
from training.run import open_run, publish_run, retrain

pytestmark = pytest.mark.usefixtures("one_thread")

SHORT = {"epochs": 1, "batch_size": 8, "warmup_steps": 0, "learning_rate": 1e-4, "precision": "32-true"}


@pytest.mark.parametrize(("recipe", "config"), [("structureclip", Config), ("mosaiclip", MosaiConfig)])
def test_captions_of_a_graph_become_a_set_that_texts_are_asked_for(graph, settings, store, reporter, recipe, config):
    import_saree(graph, store, per_cluster=8, clusters=["Kanchipuram", "Paithani"], size_px=96, reporter=reporter)
    merged = merge_config(config, overrides=SHORT)
    run, set_id = retrain(graph, settings, "saree", recipe_name=recipe, config=merged, reporter=reporter)
    assert set(run.metrics["splits"]) <= {"valid", "gate", "test"}
    active = active_set(graph, load_domain("saree"), TEXT_TASK)
    assert (active.set, active.class_property, active.recipe) == (set_id, None, recipe)
    # The published tower gives texts and pictures the vectors that the recipe gives them.
    from kg.encoders.tower import load_tower
    from kg.publishing.artefacts import tower_folder

    tower = load_tower(tower_folder(store, active.version))
    said = ["a red body with a green border", "a peacock above a lotus"]
    assert np.allclose(tower.encode_texts(said), run.recipe.encode_texts(said).numpy(), atol=1e-4)
    assert (tower.knowledge is None) == (run.recipe.net.knowledge is None)
    # Training again finds the finished run, and publishing it again the same set.
    again, same = retrain(graph, settings, "saree", recipe_name=recipe, config=merged, reporter=reporter)
    assert again.resumed and same == set_id
    assert publish_run(graph, settings, open_run(settings, run.folder.name), reporter=reporter) == set_id
