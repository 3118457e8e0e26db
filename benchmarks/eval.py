"""How good are the models: rendered sarees seen and unseen, real paintings, and the checkpoint that ships?

    make bench ONLY=eval

Tables need their graph: `korvai import saree --per-cluster 120`, `korvai import wikiart DIR`. What is finished is read
off (see training/arms.py); the rest is trained, and told before how long that takes. A table without its graph is left
out, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console

from benchmarks.records import Record

__all__ = ["measure"]

COMMAND = "make bench ONLY=eval"
_CHECKPOINT_IMAGES = 1020

console = Console(highlight=False)


def measure() -> list[Record]:
    """Records of every table whose graph is there, and of the checkpoint."""
    from kg.errors import KorvaiError

    records: list[Record] = []
    for name, table in (("checkpoint", _checkpoint), ("saree", _saree), ("wikiart6", _wikiart)):
        try:
            records += table()
        except KorvaiError as error:
            console.print(f"[yellow]! {name} is not measured: {error}[/]", soft_wrap=True)
    return records


def _checkpoint() -> list[Record]:
    """The worst attribute slot of the small model that ships, on looks that nobody trained on."""
    from kg.encoders.korvai_small import checkpoint_dir
    from training.metrics.attributes import measure_checkpoint

    found = measure_checkpoint(checkpoint_dir(), images=_CHECKPOINT_IMAGES)
    return [
        Record("eval.saree.attribute_top1_min", found["slot_min"], "share", COMMAND, n=_CHECKPOINT_IMAGES),
        Record("eval.saree.attribute_top1_mean", found["slot_mean"], "share", COMMAND, n=_CHECKPOINT_IMAGES),
    ]


def _saree() -> list[Record]:
    from training.evaluate import evaluate_saree

    return _table("saree", evaluate_saree)


def _wikiart() -> list[Record]:
    from training.evaluate import evaluate_wikiart

    return _table("artgraph", evaluate_wikiart)


def _table(domain: str, evaluate: Callable) -> list[Record]:
    """The records of a table, printed on the way, on the graph of the configured server.

    Raises: KorvaiError where there is no server, or no such graph.
    """
    from cli import context
    from kg.schema import load_domain
    from kg.snapshots.snapshot import pull
    from kg.store import Store

    settings, reporter = context.settings(), context.reporter()
    with context.graph() as graph:
        snapshot = pull(graph, load_domain(domain), Store(settings.store_dir), reporter=reporter)
    table = evaluate(snapshot, settings, reporter=reporter, command=COMMAND)
    console.print(f"\n[bold]{table.title}[/]\n")
    console.print("\n".join(table.lines()), soft_wrap=True)
    return [Record(**record) for record in table.records]
