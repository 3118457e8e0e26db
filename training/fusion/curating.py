"""How does a curator ask what an item is with all that the museum knows, and get proposals to accept or reject?"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from kg.curation.predictions import Given, Proposed, propose_given
from kg.explanations import Evidence
from kg.graph import Graph
from kg.progress import Reporter, SilentReporter
from kg.schema import Domain
from kg.settings import Settings
from kg.snapshots.snapshot import pull
from kg.store import Store
from training.features import StoredFeatures
from training.fusion.answering import Answer, answer_items, unclassified_items

__all__ = ["METHOD", "ask_with_facts", "propose_with_facts"]

METHOD = "image and facts"
_FACTS_TOLD = 6


def ask_with_facts(
    graph: Graph,
    settings: Settings,
    domain: Domain,
    keys: Sequence[str] | None = None,
    *,
    task: str | None = None,
    facts: Collection[str] | None = None,
    limit: int | None = None,
    reporter: Reporter | None = None,
) -> list[Answer]:
    """Answers for items of the graph as it is now; without `keys` for those that have an image and no class.

    `facts`: what may be known of them; None: everything but their class.
    Raises: what `answer_items` and a pull raise.
    """
    reporter, store, name = reporter or SilentReporter(), Store(settings.store_dir), domain.task(task)[0]
    snapshot = pull(graph, domain, store, reporter=reporter, task=name)
    features = StoredFeatures(store, image_spec=settings.vision_encoder, reporter=reporter)
    wanted = unclassified_items(snapshot, features, name)[:limit] if keys is None else list(keys)
    if not wanted:
        return []
    form = {"facts": facts, "text_encoder": settings.text_encoder, "reporter": reporter}
    return answer_items(snapshot, features, name, wanted, **form)


def propose_with_facts(
    graph: Graph,
    settings: Settings,
    domain: Domain,
    *,
    task: str | None = None,
    facts: Collection[str] | None = None,
    limit: int | None = None,
    at_least: float = 0.0,
    reporter: Reporter | None = None,
) -> Proposed:
    """Proposals for the items that have an image and no class, each with the facts that counted as its evidence.

    Raises: NodeNotFound (nothing is published), and what `ask_with_facts` raises.
    """
    reporter = reporter or SilentReporter()
    answers = ask_with_facts(graph, settings, domain, task=task, facts=facts, limit=limit, reporter=reporter)
    sure = [_given(answer, domain) for answer in answers if answer.ranking[0][1] >= at_least]
    return propose_given(graph, domain, sure, task=task, method=METHOD, reporter=reporter)


def _given(answer: Answer, domain: Domain) -> Given:
    class_key, probability = answer.ranking[0]
    told = tuple(f"{part.fact} {part.points:+.2f}" for part in answer.counted[:_FACTS_TOLD])
    nodes = [(n.label, n.key, n.relation, n.points) for n in answer.neighbours]
    nodes += [(domain.item, alike.item, "alike", alike.points) for alike in answer.alike]
    nodes.sort(key=lambda node: (-abs(node[3]), node[:3]))
    evidence = tuple(
        Evidence(label, key, relation, points, rank, "", None)
        for rank, (label, key, relation, points) in enumerate(nodes, start=1)
    )
    return Given(answer.item, class_key, probability, told, evidence)
