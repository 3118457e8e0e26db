"""Is what a rendering says of itself true of its pixels, and does it stay the same from run to run?"""

from collections import Counter

import cv2
import numpy as np
import pytest

from kg.errors import MediaError
from kg.rendering import (
    RENDERER_VERSION,
    Job,
    Look,
    contact_sheet,
    load_craft,
    render,
    render_job,
    render_many,
    rng_for,
    write_sheet,
)
from kg.rendering.cloth import BODY, PALLU, Cloth, Placed, Plan
from kg.rendering.paint import mix_palette
from kg.rendering.scene import side_of
from kg.rendering.slots import MOTIFS, SLOTS
from kg.rendering.stamps import hull, stamp
from kg.rendering.views import PIECE_STEP, Pose, _boxes, _maps, lay_saree

CLUSTERS = list(load_craft().looks)
MIXED = [Job("unit_tests", i, CLUSTERS[i % 17] if i % 2 else None, 112) for i in range(40)]
FROZEN_MEANS = [
    [60.8, 142.5, 143.1],
    [158.2, 99.3, 70.5],
    [115.5, 135.6, 122.3],
    [129.3, 114.4, 139.8],
    [75.5, 53.5, 57.5],
    [126.1, 117.2, 126.7],
    [54.4, 131.7, 125.3],
    [130.3, 95.3, 53.1],
]
"""Mean red, green, blue of the first eight MIXED renderings of renderer version 1."""


@pytest.fixture(scope="module")
def renderings():
    return [render_job(job) for job in MIXED]


def _plain(**changed: str) -> Look:
    look = dict.fromkeys(SLOTS, "plain") | {
        "technique": "plain weave", "zari": "none", "body_motif": "none", "pallu_motif": "none",
        "body_colour": "green", "border_colour": "maroon", "pallu_colour": "mustard", "border_width": "medium",
    }  # fmt: skip
    return Look(**(look | changed))


def test_pixels_are_those_of_the_frozen_version(renderings) -> None:
    """Fails when drawing changes without a new RENDERER_VERSION; small rounding differences of a platform pass."""
    assert RENDERER_VERSION == "1"
    means = [rendering.image.mean((0, 1)) for rendering in renderings[:8]]
    np.testing.assert_allclose(means, FROZEN_MEANS, atol=1.0)


def test_two_processes_draw_the_same_images_in_order(renderings) -> None:
    again = list(render_many(MIXED[:12], workers=2, chunk=3))
    for one, other in zip(renderings[:12], again, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
        assert (one.look, one.scene, one.view) == (other.look, other.scene, other.view)


def test_images_have_the_asked_size_and_impossible_sizes_are_refused() -> None:
    for size in (64, 112, 448):
        rendering = render(_plain(), rng_for("unit_tests", 9), size_px=size)
        assert rendering.image.shape == (size, size, 3) and rendering.image.dtype == np.uint8
    with pytest.raises(MediaError, match="20 px cannot be drawn"):
        render(_plain(), rng_for("unit_tests", 9), size_px=20)


def test_one_look_is_many_pictures() -> None:
    images = [render(_plain(), rng_for("unit_tests", i), size_px=64).image.astype(float) for i in range(12)]
    apart = [np.abs(a - b).mean() for i, a in enumerate(images) for b in images[:i]]
    assert min(apart) > 8


@pytest.mark.parametrize("colour", ["red", "green", "blue", "black", "cream"])
@pytest.mark.parametrize("technique", ["plain weave", "ikat", "extra-weft brocade"])
def test_the_body_has_its_colour(colour: str, technique: str) -> None:
    """The mean shade over the body's pixels is nearest to its own colour among five far apart ones."""
    values = {name: load_craft().value("body_colour", name) for name in ("red", "green", "blue", "black", "cream")}
    centers = {name: (np.add(v.low, v.high) / 2) for name, v in values.items()}
    for i in range(4):
        look = _plain(body_colour=colour, technique=technique)
        view = lay_saree(look, rng_for("unit_tests", 100 + i), size_px=112)
        shade = view.image[view.labels % PIECE_STEP == BODY].mean(0)
        assert min(centers, key=lambda name: np.linalg.norm(centers[name] - shade)) == colour


@pytest.mark.parametrize("motif", MOTIFS)
@pytest.mark.parametrize("pleat_px", [0.0, 3.0])
def test_boxes_enclose_the_motif_exactly(motif: str, pleat_px: float) -> None:
    """The box computed from the hull is the bounding box of the warped stamp, within a pixel and a half."""
    rng, plan = rng_for("unit_tests", 10), Plan(200, 180, 2.0, 60)
    pose = Pose(100, 110, 0.3, pleat_px, 60.0, 1.0, 0.2)
    mask = np.zeros((180, 200), np.uint8)
    mask[60:120, 70:130] = stamp(motif, 60, True).shape
    look = _plain()
    cloth = Cloth(np.zeros((180, 200, 3), np.float32), mask, mask, None, mix_palette(look, rng), look, plan)
    cloth.placed.append(Placed(motif, PALLU, 100, 90, 60, True, "thread"))
    (maps, _), box = _maps(plan, pose, 224), _boxes(cloth, pose)[0]
    drawn = cv2.boundingRect((cv2.remap(mask, *maps, cv2.INTER_LINEAR) > 100).astype(np.uint8))
    np.testing.assert_allclose(box, drawn, atol=2.0)


def test_every_motif_stamp_is_its_own_shape() -> None:
    shapes = {motif: stamp(motif, 24).shape.astype(float) for motif in MOTIFS}
    for one in MOTIFS:
        assert hull(one).min() >= -0.51 and hull(one).max() <= 0.51
        for other in MOTIFS:
            if one != other:
                assert np.abs(shapes[one] - shapes[other]).mean() > 25


def test_motif_boxes_lie_in_the_image_and_relations_are_true(renderings) -> None:
    seen = Counter()
    for rendering in renderings:
        objects = {obj.id: obj for obj in rendering.scene.objects}
        for obj in objects.values():
            assert obj.x + obj.w > 0 and obj.y + obj.h > 0 and obj.x < 112 and obj.y < 112
        for subject, predicate, target in rendering.scene.relations:
            seen[predicate] += 1
            if predicate == "on":
                assert target in ("body", "pallu") and subject.startswith("motif")
            else:
                side = side_of(objects[subject], objects[target])
                assert side in ("left of", "right of") if predicate == "beside" else side == predicate
            assert rendering.scene.holds(objects[subject].name, predicate, objects[target].name)
    assert set(seen) == {"left of", "right of", "above", "below", "beside", "on"}


def test_visible_slots_follow_the_objects(renderings) -> None:
    for rendering in renderings:
        names = {obj.name for obj in rendering.scene.objects}
        assert ("pallu" in rendering.visible) == ("pallu" in names)
        assert "technique" in rendering.visible
        for region in ("body", "pallu"):
            if f"{region}_motif" in rendering.visible and rendering.look[f"{region}_motif"] != "none":
                assert rendering.look[f"{region}_motif"] in names


def test_motifs_are_large_enough_to_be_read() -> None:
    jobs = [Job("unit_tests", 200 + i, None, 112) for i in range(80)]
    sides = [max(o.w, o.h) for job in jobs for o in render_job(job).scene.objects if o.id.startswith("motif")]
    assert np.mean(np.array(sides) >= 16) > 0.9


def test_a_sheet_holds_every_rendering_and_a_bad_path_is_refused(renderings, tmp_path) -> None:
    sheet = contact_sheet(renderings[:5], columns=3)
    assert sheet.shape == (2 * 116 + 4, 3 * 116 + 4, 3)
    np.testing.assert_array_equal(sheet[4:116, 120:232], renderings[1].image)
    write_sheet(sheet, tmp_path / "sheet.png")
    assert cv2.imread(str(tmp_path / "sheet.png")).shape == sheet.shape
    with pytest.raises(MediaError, match="could not be written"):
        write_sheet(sheet, tmp_path / "nowhere" / "sheet.png")
