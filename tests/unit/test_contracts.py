"""Which payloads do the workers take, and which do they refuse, in one line?"""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest
from pydantic import ValidationError

from kg.errors import GraphUnavailable, KorvaiError, PayloadError, QueueUnavailable, UnreadableMedia
from kg.settings import load_settings
from workers import contracts, queue
from workers.contracts import Payload, Publish, Pull, Refresh, Retrain, Train, parse

ALL = [value for value in vars(contracts).values() if inspect.isclass(value) and "task_name" in vars(value)]


def test_names_are_unique_and_queues_known() -> None:
    names = [contract.task_name for contract in ALL]
    assert len(ALL) == 9 and len(set(names)) == len(names)
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


@pytest.mark.parametrize("version", [0, 2, "1.0", None])
def test_a_task_of_another_version_is_refused(version: object) -> None:
    with pytest.raises(PayloadError, match="queued by another version of Korvai"):
        parse(Refresh, [{"domain": "saree", "version": version}])


def test_ids_never_lead_out_of_the_store() -> None:
    for run in ("../runs/x", "/etc/passwd", "..", ".", "a/b", "a\\b", "a\n"):
        with pytest.raises(PayloadError):
            parse(Publish, [{"run": run}])


def test_the_pipeline_hands_on_what_the_next_step_needs() -> None:
    steps = list(queue._steps(load_settings(), Retrain(domain="saree", config={"epochs": 2})))
    assert [type(step) for step in steps] == list(contracts.PIPELINE)
    sent = [json.loads(json.dumps(step.model_dump(mode="json", warnings=False))) for step in steps]
    handed_on = [{}, *[{"snapshot": "s"}] * 3, {"run": "r"}, {"run": "r"}, {}]
    parsed = [parse(type(step), [given, own]) for step, given, own in zip(steps, handed_on, sent, strict=True)]
    assert all(isinstance(payload, Payload) for payload in parsed)
    assert parsed[3].config == {"epochs": 2}  # type: ignore[attr-defined]


def test_a_broker_that_is_away_is_one_line_without_the_password() -> None:
    settings = load_settings(redis_url="redis://:hunter2@127.0.0.1:9/0")
    for ask in (lambda: queue.retrain(settings, Retrain(domain="saree")), lambda: queue.check(settings)):
        with pytest.raises(QueueUnavailable, match=r"queue at redis://127\.0\.0\.1:9/0") as raised:
            ask()
        assert "hunter2" not in str(raised.value) and "\n" not in str(raised.value)


def test_without_any_redis_the_line_says_how_to_start_one(tmp_path) -> None:
    with pytest.raises(QueueUnavailable, match="korvai up"):
        queue.check(load_settings(home=tmp_path))


def test_retry_delays_grow_are_capped_and_differ() -> None:
    from workers.context import retry_delay_s

    rounds = [[retry_delay_s(tries) for _ in range(200)] for tries in range(12)]
    assert all(1 <= delay <= 2 for delay in rounds[0])
    assert all(60 <= delay <= 120 for delay in rounds[11])
    assert all(len(set(delays)) > 100 for delays in rounds)


@pytest.mark.parametrize(
    ("error", "again"), [(GraphUnavailable("away"), True), (UnreadableMedia("bad"), False), (ValueError(), False)]
)
def test_only_errors_that_may_pass_are_tried_again(error: Exception, again: bool) -> None:
    from workers.context import retrying

    class Retried(Exception):
        pass

    class StandIn:
        name = "korvai.stand_in"
        request = type("Request", (), {"retries": 3})()

        def retry(self, *, exc: KorvaiError, countdown: float, max_retries: int) -> Exception:
            assert exc is error and 8 <= countdown <= 16 and max_retries > 3
            return Retried()

    with pytest.raises(Retried if again else type(error)), retrying(StandIn()):  # type: ignore[arg-type]
        raise error
