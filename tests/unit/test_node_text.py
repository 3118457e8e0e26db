"""Does a node's text read like one whatever is missing?"""

import random

import pytest

from kg.snapshots import node_text as module
from kg.snapshots.node_text import node_text, node_texts

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


def test_texts_that_are_not_looked_at_one_by_one_are_tidy_already():
    pieces = [
        "a",
        "É",
        "Wait",
        "1858",
        *" ,;.:!?()[]",
        "\u00a0",
        "\u3000",
        "\u2028",
        "\x0b",
        "\x1f",
        "\x85",
        "\n",
        "...",
    ]
    chance = random.Random(0)
    texts = ["".join(chance.choices(pieces, k=chance.randrange(7))) for _ in range(20_000)]
    slow = [module._tidy(text) or "Artist" for text in texts]
    assert node_texts("{name}", ["name"], [texts], otherwise="Artist").to_pylist() == slow


@pytest.mark.parametrize(
    "values",
    [["Jamdani", None, ""], [1858, None, -3], [1850.0, 2.5, None], [True, None, 1], ["a", 3, 10**30], [["a", 1], None],
     [b"x"], [None]],
)  # fmt: skip
def test_a_column_of_one_kind_reads_as_its_values_do(values):
    slow = [module._tidy(module._as_text(value)) or "k" for value in values]
    assert node_texts("{x}", ["x"], [values], otherwise="k").to_pylist() == slow
