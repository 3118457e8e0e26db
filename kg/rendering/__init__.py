"""How are sarees drawn from the facts: looks, images, scenes and captions, with exact attributes?

Example:
    rng = rng_for("train", 0)
    look = sample_look("Kanchipuram", rng)         # or sample_open_look(rng): a look of no cluster
    rendering = render(look, rng, size_px=224)     # image, scene with boxes, visible slots
    caption(rendering, rng, kind="attributes")
"""

from kg.rendering.captions import caption
from kg.rendering.craft import Craft, load_craft
from kg.rendering.drawing import RENDERER_VERSION, Job, Rendering, render, render_job, render_many
from kg.rendering.gallery import cluster_gallery, contact_sheet, write_sheet
from kg.rendering.looks import Look, cluster_log_likelihood, outside_support, sample_look, sample_open_look
from kg.rendering.scene import Scene, SceneObject, side_of
from kg.rendering.seeds import SEED_RANGES, rng_for
from kg.rendering.slots import COLOUR_SLOTS, NO_MOTIF, SLOTS

__all__ = [
    "COLOUR_SLOTS",
    "NO_MOTIF",
    "RENDERER_VERSION",
    "SEED_RANGES",
    "SLOTS",
    "Craft",
    "Job",
    "Look",
    "Rendering",
    "Scene",
    "SceneObject",
    "caption",
    "cluster_gallery",
    "cluster_log_likelihood",
    "contact_sheet",
    "load_craft",
    "outside_support",
    "render",
    "render_job",
    "render_many",
    "rng_for",
    "sample_look",
    "sample_open_look",
    "side_of",
    "write_sheet",
]
