"""Which payloads do the workers take, and which do they refuse, in one line?"""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest
from pydantic import ValidationError

from kg.errors import PayloadError, QueueUnavailable
from kg.settings import load_settings
from workers import contracts, queue
from workers.contracts import STEPS, Payload, Publish, Pull, Refresh, Train, parse
from workers.kinds import KINDS, Retrain, plan_of, request_of

ALL = [value for value in vars(contracts).values() if inspect.isclass(value) and "task_name" in vars(value)]


def test_names_are_unique_and_queues_known() -> None:
    names = [contract.task_name for contract in ALL]
    assert len(ALL) == 14 and len(set(names)) == len(names)
    assert all(name.startswith("korvai.") for name in names)
    assert {contract.queue for contract in ALL} <= set(contracts.QUEUES)


@pytest.mark.parametrize("contract", ALL, ids=lambda c: c.__name__)
def test_unknown_arguments_are_refused(contract: type[Payload]) -> None:
    with pytest.raises(PayloadError, match=r"surprise: Extra inputs"):
        parse(contract, [{"surprise": 1}])


def test_payloads_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Pull(domain="saree").domain = "artgraph"  # type: ignore[misc]


def test_the_step_before_fills_in_its_ids() -> None:
    own = Train.model_construct(recipe="graphclip", vision_encoder="korvai-small").model_dump(
        mode="json", warnings=False
    )
    parsed = parse(Train, [{"snapshot": "abc123"}, json.loads(json.dumps(own))])
    assert (parsed.snapshot, parsed.recipe, parsed.task) == ("abc123", "graphclip", None)


def test_a_missing_id_is_named() -> None:
    with pytest.raises(PayloadError, match=r"korvai\.publish: run: Field required"):
        parse(Publish, [{}])


@pytest.mark.parametrize(
    "parts",
    [
        ["saree"],
        [None],
        [["domain", "saree"]],
        [7],
        [{"domain": 7}],
        [{"domain": "../../etc"}],
        [{"domain": ""}],
        [{"domain": "-x"}],
        [{}],
    ],
    ids=str,
)
def test_malformed_payloads_are_one_line(parts: list[Any]) -> None:
    with pytest.raises(PayloadError) as raised:
        parse(Pull, parts)
    assert str(raised.value).startswith("korvai.pull: ") and "\n" not in str(raised.value)
    assert raised.value.retryable is False


@pytest.mark.parametrize("version", [0, 1, "2.0", None])
def test_a_task_of_another_version_is_refused(version: object) -> None:
    with pytest.raises(PayloadError, match="queued by another version of Korvai"):
        parse(Refresh, [{"domain": "saree", "version": version}])


def test_ids_never_lead_out_of_the_store() -> None:
    for run in ("../runs/x", "/etc/passwd", "..", ".", "a/b", "a\\b", "a\n"):
        with pytest.raises(PayloadError):
            parse(Publish, [{"run": run}])


def test_the_pipeline_hands_on_what_the_next_step_needs() -> None:
    plan = json.loads(json.dumps(plan_of(load_settings(), Retrain(graph="saree", config={"epochs": 2}))))
    found = {"snapshot": "s", "run": "r", "shadow": True, "gate": {}}
    for part in plan:
        contract = STEPS[part["step"]]
        known = {key: value for key, value in found.items() if key in contract.model_fields}
        parsed = parse(contract, [known, part["args"]])
        assert parsed.version == contracts.PAYLOAD_VERSION
        if isinstance(parsed, Publish):
            assert parsed.shadow  # what the gate said, not the default
        if isinstance(parsed, Train):
            assert (parsed.config, parsed.snapshot) == ({"epochs": 2}, "s")
    assert [part["step"] for part in plan][-4:] == ["gate", "publish", "refresh", "classify"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_becomes_a_plan_and_comes_back_from_its_node(kind: str) -> None:
    more = {
        "evaluate": '{"run": "r1"}',
        "publish": '{"run": "r1", "gate": true}',
        "explain": '{"image": "a/b", "class": "X"}',
        "search": '{"text": "peacock on pallu", "k": 3}',
    }
    request = request_of({"kind": kind, "graph": "saree", "params": more.get(kind), "mood": "of the curator's own"})
    node = queue.described(load_settings(), request)
    assert json.loads(node["plan"]) and {part["step"] for part in json.loads(node["plan"])} <= set(STEPS)
    assert request_of(node) == request


def test_a_search_has_its_text_on_its_node() -> None:
    typed = {"kind": "search", "graph": "saree", "text": "a red body 🪷"}
    assert request_of(typed).text == "a red body 🪷"
    node = queue.described(load_settings(), request_of(typed))
    assert node["text"] == typed["text"] and request_of(node) == request_of(typed)
    assert request_of({"kind": "validate", "graph": "saree", "text": "a note of the curator's own"})
    with pytest.raises(PayloadError, match="text: String should have at most"):
        request_of({**typed, "text": "x" * 4001})
    with pytest.raises(PayloadError, match="has no texts"):
        queue.described(load_settings(), request_of({**typed, "task": "cluster"}))


def test_what_is_said_twice_is_refused() -> None:
    with pytest.raises(PayloadError, match="'graph' is said twice"):
        request_of({"kind": "refresh", "graph": "saree", "params": '{"graph": "artgraph"}'})


def test_a_broker_that_is_away_is_one_line_without_the_password() -> None:
    settings = load_settings(redis_url="redis://:hunter2@127.0.0.1:9/0")
    for ask in (lambda: queue.submit(settings, None, Retrain(graph="saree")), lambda: queue.check(settings)):
        with pytest.raises(QueueUnavailable, match=r"queue at redis://127\.0\.0\.1:9/0") as raised:
            ask()
        assert "hunter2" not in str(raised.value) and "\n" not in str(raised.value)


def test_without_any_redis_the_line_says_how_to_start_one(tmp_path) -> None:
    with pytest.raises(QueueUnavailable, match="korvai up"):
        queue.check(load_settings(home=tmp_path))


def test_retry_delays_grow_are_capped_and_differ() -> None:
    from workers.running import retry_delay_s

    rounds = [[retry_delay_s(tries) for _ in range(200)] for tries in range(12)]
    assert all(1 <= delay <= 2 for delay in rounds[0])
    assert all(60 <= delay <= 120 for delay in rounds[11])
    assert all(len(set(delays)) > 100 for delays in rounds)
