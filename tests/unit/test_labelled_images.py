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
