"""Does an edit survive its way through a node's properties, and a value its way through JSON?"""

import datetime as dt
import math

import pytest

from kg.changes.edit_record import KINDS, Edit, decode, encode, in_order, new_id
from kg.errors import SchemaViolation

NOON = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    "value",
    [
        "kadwa",
        "",
        'quotes " and \\ and ä',
        1,
        1.0,
        True,
        [],
        ["a", "b"],
        {"labels": ["Saree"], "properties": {"name": "x", "made": [1, 2]}},
        dt.date(1590, 1, 1),
        NOON,
        dt.datetime(2026, 1, 1, 3),
        dt.time(3, 4),
        [dt.date(1590, 1, 1)],
        math.inf,
    ],
)
def test_values_come_back_with_their_type(value):
    back = decode(encode(value))
    assert back == value
    assert type(back) is type(value)


def test_what_is_no_number_comes_back():
    assert math.isnan(decode(encode(math.nan)))


def test_nothing_stays_nothing():
    assert encode(None) is None
    assert decode(None) is None


def test_what_cannot_be_recorded_is_named():
    with pytest.raises(SchemaViolation, match="object"):
        encode(object())


def test_broken_text_is_named():
    with pytest.raises(SchemaViolation, match="not the JSON"):
        decode("{")


def test_an_edit_survives_its_node():
    edit = Edit(
        id=new_id(), kind="set_property", key="name", new=encode("x"), target_type="Saree", target_key="s-1", at=NOON
    )
    properties = edit.properties()
    assert "old" not in properties
    assert Edit.from_properties({**properties, "colour": "of a later version"}) == edit
    assert edit.old_value is None
    assert edit.new_value == "x"


def test_an_unknown_kind_is_refused():
    with pytest.raises(SchemaViolation, match="none of"):
        Edit(id="1", kind="rename", target_type="Saree", target_key="s")
    with pytest.raises(SchemaViolation, match="no \\['kind'"):
        Edit.from_properties({"id": "1", "target_type": "Saree"})


def test_order_is_one_that_can_be_replayed():
    edits = [Edit(id=kind, kind=kind, target_type="Saree", target_key="s", tx=7, at=NOON) for kind in reversed(KINDS)]
    later = Edit(id="later", kind="create_node", target_type="Saree", target_key="s", tx=8, at=NOON)
    assert [edit.id for edit in in_order([later, *edits])] == [*KINDS, "later"]
