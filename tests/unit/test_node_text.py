"""Does a node's text read like one whatever is missing?"""

import pytest

from kg.snapshots.node_text import node_text

ARTIST = "{title}, {nationality} artist, born {birth} {birth_place}, died {death} {death_place}. {description}"


@pytest.mark.parametrize(
    ("properties", "text"),
    [
        ({"title": "Amrita Sher-Gil", "nationality": "Indian", "birth": 1913, "birth_place": "Budapest", "death": 1941,
          "death_place": "Lahore", "description": "A pioneer."},
         "Amrita Sher-Gil, Indian artist, born 1913 Budapest, died 1941 Lahore. A pioneer."),
        ({"title": "Amrita Sher-Gil"}, "Amrita Sher-Gil."),
        ({"title": "Amrita Sher-Gil", "birth": 1913, "description": " Painter\n of  villages. "},
         "Amrita Sher-Gil, born 1913. Painter of villages."),
        ({"description": "Somebody."}, "Somebody."),
        ({"title": None, "birth": ""}, "Artist"),
    ],
)  # fmt: skip
def test_clauses_without_a_value_are_left_out(properties, text):
    assert node_text(ARTIST, properties, otherwise="Artist") == text


def test_lists_numbers_and_ends_read_well():
    template = "{name} ({other}), of {places}, {year}. {description}."
    properties = {"name": "Jamdani", "places": ["Dhaka", "Tanda"], "year": 1850.0, "description": "Fine muslin."}
    assert node_text(template, properties, otherwise="k") == "Jamdani, of Dhaka, Tanda, 1850. Fine muslin."
    assert node_text("{name}", {"name": "Wait... what?"}, otherwise="k") == "Wait... what?"
    assert node_text("A fixed text", {}, otherwise="k") == "A fixed text"
    braces = {"description": "braces {stay} as they are"}
    assert node_text("{description}", braces, otherwise="k") == braces["description"]
