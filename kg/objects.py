"""How does a notebook read and change single nodes as Python objects? The only module that imports py2neo.

    objects = open_objects(settings, "artgraph")
    painting = objects.get("Artwork", "a.jpg")
    painting.year = 1889
    painting.style.add(objects.get("Style", "realism"))
    objects.save(painting)

Each label is a class made from the domain file: its properties, and each relation as an attribute in lower case
(`completed_in`); from its other end it is called `completed_in_of`. Saving writes what was changed since it was read
and nothing else: py2neo's own push would write back all of a node, and so take away class vectors that a publish has
added meanwhile, or relations that another curator has. Vectors are not part of an object. Saved changes are raw Cypher
to the server, so the trigger of `kg.changes` records them, and `korvai undo` takes them back.

py2neo is no longer developed; it is for scripts of curators, and everything else uses kg/graph.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from py2neo import ClientError, Graph, Node
from py2neo.errors import ConnectionUnavailable
from py2neo.ogm import Model, ModelType, Property, Related, RelatedObjects

from cypher import load
from kg.curation.recording import VECTOR_PREFIX
from kg.errors import GraphUnavailable, NodeNotFound, SchemaViolation, StatementError
from kg.schema import Domain, load_domain
from kg.server.connection import neo4j_address
from kg.settings import Settings

__all__ = ["DomainObject", "Objects", "open_objects"]


def open_objects(settings: Settings, domain: Domain | str) -> Objects:
    """The domain's nodes as objects, on the configured server.

    Raises: ServiceError (nothing runs), GraphUnavailable.
    """
    address = neo4j_address(settings)
    login = {"user": address.user, "password": address.password.get_secret_value()}
    try:
        graph = Graph(address.uri, name=address.database, **login)
    except ConnectionUnavailable as error:
        raise GraphUnavailable(f"py2neo: {address.uri} does not answer; is the server up? (`korvai status`)") from error
    return Objects(graph, load_domain(domain) if isinstance(domain, str) else domain)


class DomainObject(Model):
    """A node as an object; made from the domain file, one class a label."""

    __primarykey__ = "name"
    _objects: Objects
    _read: dict[str, Any]

    @classmethod
    def wrap(cls, node: Node) -> DomainObject | None:
        """The object of a node, of the class that its label says."""
        if node is None:
            return None
        own = next((kind for label, kind in cls._objects.classes.items() if node.has_label(label)), cls)
        for name in [name for name in node if name.startswith(VECTOR_PREFIX)]:
            del node[name]
        # Model.wrap sets private attributes of Model.
        found = super(DomainObject, own).wrap(node)
        found._read = dict(node)
        return found

    def __db_push__(self, tx: Any) -> None:
        """Write what differs from what was read; a new object is merged by its key, and must not be there yet."""
        node = self.__node__
        if node.graph is None:
            tx.create(Node(*self._labels(), **dict(node)))
            self._adopt(tx)
        else:
            read = getattr(self, "_read", {})
            changed = {k: node[k] for k in {*node, *read} if node[k] != read.get(k)}
            if changed:
                tx.run(load("objects/update").text, id=node.identity, changed=changed)
        self._read = dict(self.__node__)
        for related in self.__ogm__.all_related():
            related.__db_push__(tx)

    def _labels(self) -> list[str]:
        label = type(self).__primarylabel__
        classes = {task.target for task in self._objects.domain.tasks.values()}
        return [label, "Class"] if label in classes else [label]

    def _adopt(self, tx: Any) -> None:
        """Let the object stand for the node that was just created."""
        label, key = type(self).__primarylabel__, type(self).__primarykey__
        statement = load("objects/find").fill(node=label, node_key=key)
        node = tx.run(statement.text, key=self.__node__[key]).evaluate()
        ogm = self.__ogm__
        ogm.node = node
        for related in ogm.all_related():
            related.node = node


class Objects:
    """All labels of a domain as classes, with the graph they are read from and saved to."""

    def __init__(self, graph: Graph, domain: Domain) -> None:
        self.graph, self.domain = graph, domain
        self.classes = _make_classes(self)

    def __getitem__(self, label: str) -> type[DomainObject]:
        """The class of a label, to make a new object: `objects["Artist"](name="sisley")`."""
        self.domain.node_type(label)
        return self.classes[label]

    def get(self, label: str, key: str) -> Any:
        """The node of that key. Raises: NodeNotFound, SchemaViolation (unknown label)."""
        found = self[label].match(self.graph, key).first()
        if found is None:
            raise NodeNotFound(f"{label} {key!r}: not in the graph; its id is its {self.domain.node_type(label).key}")
        return found

    def match(self, label: str, **properties: Any) -> Iterator[Any]:
        """All nodes of the label that have these properties."""
        return iter(self[label].match(self.graph).where(**properties))

    def save(self, *objects: DomainObject) -> None:
        """Write what was changed, all of it in one transaction.

        Raises: StatementError when the server refuses, such as a key that is taken.
        """
        try:
            self.graph.update(lambda tx: [thing.__db_push__(tx) for thing in objects])
        except ClientError as error:
            raise StatementError(f"saving {', '.join(map(repr, objects))}: {error}") from error

    def delete(self, thing: DomainObject) -> None:
        """Remove a node with its relations."""
        self.graph.run(load("objects/remove").text, id=thing.__node__.identity)


class _Ties(RelatedObjects):
    """The nodes at the other ends of one relation; knows what was read, and saves the difference."""

    def __init__(self, subject: Any, node: Node, direction: int, relation: str, related_class: type) -> None:
        super().__init__(subject, node, direction, relation, related_class)
        self._outgoing = direction > 0
        self._read: dict[int, dict[str, Any]] = {}

    def __db_pull__(self, tx: Any) -> None:
        super().__db_pull__(tx)
        self._read = {other.__node__.identity: dict(properties) for other, properties in self._related_objects}

    def __db_push__(self, tx: Any) -> None:
        now = {}
        for other, properties in self._related_objects:
            if other.__node__.graph is None:
                other.__db_push__(tx)
            now[other.__node__.identity] = dict(properties)
        for other in set(self._read) - set(now):
            tx.run(load("objects/untie").fill(relation=self.relationship_type).text, **self._ends(other))
        tie = load("objects/tie").fill(relation=self.relationship_type).text
        for other, properties in now.items():
            if self._read.get(other) != properties:
                tx.run(tie, properties=properties, **self._ends(other))
        self._read = now

    def _ends(self, other: int) -> dict[str, int]:
        source, target = (self.node.identity, other) if self._outgoing else (other, self.node.identity)
        return {"source": source, "target": target}


class _Relation(Related):
    """An attribute that is a relation."""

    def __init__(self, related_class: type, relation: str, *, outgoing: bool) -> None:
        super().__init__(related_class, relation)
        self.direction = 1 if outgoing else -1

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        ogm = instance.__ogm__
        related, key = ogm._related, (self.direction, self.relationship_type)
        if key not in related:
            related[key] = _Ties(instance, ogm.node, self.direction, self.relationship_type, self.related_class)
        return related[key]


def _make_classes(objects: Objects) -> dict[str, type[DomainObject]]:
    """One class a label; relations come after, since they refer to classes."""
    classes: dict[str, type[DomainObject]] = {}
    for label, node_type in objects.domain.node_types.items():
        names = dict.fromkeys([node_type.key, node_type.title, *node_type.properties])
        attributes: dict[str, Any] = {name: Property() for name in names}
        attributes |= {"__primarylabel__": label, "__primarykey__": node_type.key, "_objects": objects}
        classes[label] = ModelType(label, (DomainObject,), attributes)
    for relation in objects.domain.relations:
        name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", relation.type).lower()
        ends = ((relation.source, name, True, relation.target), (relation.target, f"{name}_of", False, relation.source))
        for label, attribute, outgoing, other in ends:
            if isinstance(getattr(classes[label], attribute, None), Property):
                raise SchemaViolation(
                    f"{label}: {attribute} is a property and a relation; rename one in the domain file"
                )
            setattr(classes[label], attribute, _Relation(classes[other], relation.type, outgoing=outgoing))
    return classes
