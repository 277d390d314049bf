"""Topics: what a browser puts together from the messages is what the server has, and a slow one gets the newest."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_workbench.surfaces.server.outbox import Outbox
from gpu_workbench.surfaces.server.topics import RunTopic, message, parse_topic

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2),
)
STATES = st.dictionaries(st.text(max_size=3), VALUES.map(json.dumps), max_size=5)


def taken_in(state: dict[str, Any], text: str) -> dict[str, Any]:
    """What a browser has after a message."""
    form = json.loads(text)
    if "state" in form:
        return dict(form["state"])
    return {name: value for name, value in {**state, **form["set"]}.items() if name not in form["gone"]}


@given(st.lists(STATES, min_size=1, max_size=6))
def test_a_browser_has_what_the_server_has_after_each_message(states: list[dict[str, str]]) -> None:
    outbox, has, seq = Outbox(), {}, 0
    outbox.subscribe("runs")
    for now, state in enumerate(states):
        text = outbox.take("runs", state, float(now))
        if text is not None:
            seq += 1
            assert json.loads(text)["seq"] == seq
            has = taken_in(has, text)
        assert has == {name: json.loads(value) for name, value in state.items()}


@given(STATES)
def test_what_is_the_same_is_not_sent_again(state: dict[str, str]) -> None:
    assert message("runs", seq=2, before=state, now=dict(state)) is None


def test_true_is_not_one() -> None:
    assert message("runs", seq=2, before={"a": "1"}, now={"a": "true"}) == (
        '{"topic":"runs","seq":2,"set":{"a":true},"gone":[]}'
    )


@pytest.mark.parametrize(
    "text", [None, 1, "", "run", "run/", "run//x", "run/a b", "run/../x", "run/ü", "run/" + "a" * 65, {}]
)
def test_what_is_no_topic(text: object) -> None:
    assert parse_topic(text) is None


def test_topics_by_name() -> None:
    assert parse_topic("runs") == "runs"
    assert parse_topic("run/a-1") == RunTopic("a-1")
    found = parse_topic("run/a-1/run-2-x")
    assert found == RunTopic("a-1", "run-2-x")
    assert str(found) == "run/a-1/run-2-x"


class TestOutbox:
    """One tab's messages over time."""

    def test_a_topic_is_sent_at_once_and_then_once_an_interval(self) -> None:
        outbox = Outbox(interval=1.0)
        outbox.subscribe("runs")
        assert outbox.due(10.0) == ["runs"]
        outbox.take("runs", {"a": "1"}, 10.0)
        assert outbox.wait(10.0) is None
        outbox.changed("runs")
        assert outbox.due(10.5) == []
        assert outbox.wait(10.5) == pytest.approx(0.5)
        assert outbox.due(11.0) == ["runs"]

    def test_many_changes_while_a_browser_is_slow_are_one_message(self) -> None:
        outbox = Outbox()
        outbox.subscribe("runs")
        outbox.take("runs", {"a": "0"}, 0.0)
        for _ in range(1000):
            outbox.changed("runs")
        assert outbox.due(5.0) == ["runs"]
        text = outbox.take("runs", {"a": "1000"}, 5.0)
        assert text is not None
        assert json.loads(text)["set"] == {"a": 1000}
        assert outbox.due(9.0) == []

    def test_who_has_waited_longest_comes_first(self) -> None:
        outbox = Outbox()
        for number, topic in enumerate(("run/c", "run/a", "run/b")):
            outbox.subscribe(topic)
            outbox.take(topic, {}, float(number))
            outbox.changed(topic)
        assert outbox.due(9.0) == ["run/c", "run/a", "run/b"]

    def test_a_topic_that_is_asked_for_again_is_sent_whole(self) -> None:
        outbox = Outbox()
        outbox.subscribe("runs")
        outbox.take("runs", {"a": "1"}, 0.0)
        outbox.subscribe("runs")
        text = outbox.take("runs", {"a": "1"}, 0.1)
        assert text is not None
        assert json.loads(text) == {"topic": "runs", "seq": 1, "state": {"a": 1}}

    def test_there_is_an_end_to_topics(self) -> None:
        outbox = Outbox(limit=2)
        assert [outbox.subscribe(f"run/{number}") for number in range(3)] == [True, True, False]
        outbox.unsubscribe("run/0")
        assert outbox.subscribe("run/2")
