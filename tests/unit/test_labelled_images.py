"""Do labels of images outside train stay out of the graph that class embeddings are made from?"""

from dataclasses import replace

import numpy as np

from tests.support.memory_snapshot import Images, craft_snapshot
from training.labelled_images import label_images, leaking_edges

MADE_IN = ("Saree", "MADE_IN", "Cluster")


def test_an_item_with_a_train_and_a_test_image_gives_its_class_nothing():
    snapshot, _ = craft_snapshot(n_classes=2, per_class=4)
    count = len(snapshot.images.sha256)
    split = ["train"] * count + ["test"]
    split[1:3] = ["valid", "gate"]
    items = np.append(np.arange(count), 0)  # a second image of the first item, and that one is a test image
    images = Images([*snapshot.images.sha256, "f" * 64], [*snapshot.images.uri, "images/f"], split)
    mixed = replace(snapshot, images=images, item_images=(items, np.arange(count + 1)))
    dropped = leaking_edges(mixed, label_images(mixed, None))[MADE_IN]
    assert np.flatnonzero(dropped).tolist() == [0, 1, 2]


def test_images_without_a_class_take_no_places_where_few_have_one():
    snapshot, _ = craft_snapshot(n_classes=2, per_class=10)
    labelled = len(snapshot.images.sha256)
    more = [f"{n:064x}" for n in range(60)]
    images = Images([*snapshot.images.sha256, *more], [*snapshot.images.uri, *more], [None] * (labelled + 60))
    alone = label_images(snapshot, None)
    beside = label_images(replace(snapshot, images=images), None)
    assert labelled == 20 and (alone.split == "valid").sum() == 2
    assert alone.split.tolist() == beside.split.tolist()
