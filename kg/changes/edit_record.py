"""What is recorded of one edit, whoever made it: through Korvai, or typed as raw Cypher and seen by the trigger?

An edit is a node (:Edit {...})-[:ON]->(its target, while that exists). The properties of the node are the fields of
`Edit`, in the same names; a field that is None is not stored. `old` and `new` are JSON texts (`encode`, `decode`).
"""

from __future__ import annotations

import datetime as dt
import json
import math
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

from kg.errors import SchemaViolation

__all__ = ["KINDS", "UNKNOWN", "Edit", "Kind", "decode", "encode", "in_order", "new_id"]

Kind = Literal[
    "create_node",
    "set_property",
    "add_label",
    "create_relation",
    "delete_relation",
    "remove_label",
    "remove_property",
    "delete_node",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""In the order in which the edits of one transaction can be replayed; undo goes through them backwards."""

UNKNOWN = "unknown"
"""Who made an edit, where the trigger could not see it."""

_TEMPORAL = {
    "DATE": dt.date.fromisoformat,
    "DATETIME": dt.datetime.fromisoformat,
    "TIME": dt.time.fromisoformat,
}


@dataclass(frozen=True, kw_only=True)
class Edit:
    """One edit.

    | kind | key | old | new |
    |---|---|---|---|
    | create_node, delete_node | - | {"labels": [...], "properties": {...}} of a deleted node | the same of a new one |
    | set_property, remove_property | the property | value before, None where there was none | value after |
    | add_label, remove_label | the label | - | - |
    | create_relation, delete_relation | - | properties of a deleted relation | properties of a new one |

    A node is (target_type, target_key): its domain label and its key. A relation goes from the target by `relation` to
    (other_type, other_key); a property of a relation is an edit with `relation` set. Deleting a node with its relations
    is one edit for each relation and one for the node, in one transaction.
    """

    id: str
    at: dt.datetime | None = None
    """When, UTC; None lets the database say."""
    who: str = UNKNOWN
    reason: str = ""
    batch: str | None = None
    """What is undone together: of Korvai's edits the batch it names, of others 'tx-<transaction>'."""
    kind: Kind
    key: str | None = None
    old: str | None = None
    new: str | None = None
    tx: int | None = None
    """The database's number of the transaction, where it is known."""
    through: Literal["korvai", "cypher"] = "korvai"
    target_type: str
    target_key: str | None
    """None for a node that has no key: the trigger sees such nodes too."""
    relation: str | None = None
    other_type: str | None = None
    other_key: str | None = None
    count: int | None = None
    """Set where one edit stands for that many of a transaction's too many to record each: it cannot be undone."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise SchemaViolation(f"edit {self.id}: kind {self.kind!r} is none of {', '.join(KINDS)}")

    @property
    def old_value(self) -> Any:
        """The value before, decoded."""
        return decode(self.old)

    @property
    def new_value(self) -> Any:
        """The value after, decoded."""
        return decode(self.new)

    @property
    def on_relation(self) -> bool:
        """Whether a relation, not a node, was edited."""
        return self.relation is not None

    def properties(self) -> dict[str, Any]:
        """What the node holds: every field that has a value."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_properties(cls, properties: Mapping[str, Any]) -> Edit:
        """An edit from its node's properties; what later versions may add is left out.

        Raises: SchemaViolation where a property is missing.
        """
        known = {field.name for field in fields(cls)}
        found = {"target_key": None, **{name: value for name, value in properties.items() if name in known}}
        if missing := {"id", "kind", "target_type"} - set(found):
            raise SchemaViolation(f"edit {properties.get('id', '?')}: its node has no {sorted(missing)}; delete it")
        edit = cls(**found)
        # The driver's DateTime has Python's own inside.
        return replace(edit, at=edit.at.to_native()) if hasattr(edit.at, "to_native") else edit


def new_id() -> str:
    """A fresh id: 16 hexadecimal digits, short enough for a person to copy."""
    return uuid.uuid4().hex[:16]


def in_order(edits: Iterable[Edit]) -> list[Edit]:
    """Edits as they can be replayed: by time, then transaction, then kind."""
    first = dt.datetime.min.replace(tzinfo=dt.UTC)
    return sorted(edits, key=lambda e: (e.at or first, e.tx or 0, KINDS.index(e.kind), e.id))


def encode(value: Any) -> str | None:
    """A property value as JSON text; None stays None. Dates and times are {"$DATE": "1590-01-01"}.

    Whole numbers and fractions stay apart (1 and 1.0), and numbers that JSON has no word for are {"$FLOAT": "NaN"}.
    """
    return None if value is None else json.dumps(_plain(value), ensure_ascii=False, sort_keys=True)


def decode(text: str | None) -> Any:
    """The value of a JSON text, as a parameter for Cypher.

    Raises: SchemaViolation for what is no such text.
    """
    try:
        return None if text is None else json.loads(text, object_hook=_special)
    except (ValueError, TypeError) as error:
        raise SchemaViolation(f"edit: {text[:80]!r} is not the JSON text of a value ({error})") from error


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"$FLOAT": str(value)}
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    return _temporal(value)


def _temporal(value: Any) -> dict[str, str]:
    if hasattr(value, "to_native"):
        value = value.to_native()
    for kind, name in ((dt.datetime, "DATETIME"), (dt.date, "DATE"), (dt.time, "TIME")):
        if isinstance(value, kind):
            return {f"${name}": value.isoformat()}
    raise SchemaViolation(f"edit: a value of type {type(value).__name__} cannot be recorded ({value!r})")


def _special(found: dict[str, Any]) -> Any:
    if len(found) != 1:
        return found
    name, value = next(iter(found.items()))
    if name == "$FLOAT":
        return float(value)
    parse = _TEMPORAL.get(name.removeprefix("$"))
    # What has no Python form (durations, points) stays a text that says its type; Cypher refuses such a map as a value.
    return parse(value.split("[")[0]) if parse and name.startswith("$") else found
