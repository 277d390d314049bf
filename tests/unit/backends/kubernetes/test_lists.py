"""Lists that many ask for are read once, and long ones less often."""

import asyncio

import pytest

from gpu_workbench.backends.kubernetes.client import Listing
from gpu_workbench.backends.kubernetes.lists import FRESH, FRESH_EACH, Kept, Lists
from gpu_workbench.backends.kubernetes.resources import NODES, PODS
from gpu_workbench.core.errors import Unreachable


class Server:
    """Counts how often a list is read."""

    def __init__(self, items):
        self.items, self.reads, self.fails = items, 0, False

    async def list(self, resource, **scope):
        self.reads += 1
        await asyncio.sleep(0)
        if self.fails:
            raise Unreachable("away")
        return Listing(tuple(self.items), "1")


@pytest.fixture
def clock(monkeypatch):
    """Seconds that have passed."""
    passed = [0.0]

    async def start():
        loop = asyncio.get_running_loop()
        before = loop.time
        monkeypatch.setattr(loop, "time", lambda: before() + passed[0])
        return passed

    return start


async def test_all_who_ask_at_once_get_one_list():
    server = Server([{"a": 1}])
    lists = Lists(server)
    found = await asyncio.gather(*(lists.list(NODES) for _ in range(50)))
    assert found == [({"a": 1},)] * 50
    assert server.reads == 1
    await lists.list(PODS)
    await lists.list(NODES, labels="a=b")
    assert server.reads == 3, "other objects are another list"


async def test_it_is_read_again_after_a_while_and_a_long_one_later(clock):
    passed = await clock()
    long = int(2 * FRESH / FRESH_EACH)
    short, many = Server([{}]), Server([{}] * long)
    lists = [Lists(short), Lists(many)]
    for each in lists:
        await each.list(NODES)
    passed[0] = FRESH + 1
    for each in lists:
        await each.list(NODES)
    assert (short.reads, many.reads) == (2, 1)
    passed[0] = 2 * FRESH + 1
    await lists[1].list(NODES)
    assert many.reads == 2


async def test_what_fails_is_asked_for_again_at_once():
    server = Server([])
    lists = Lists(server)
    server.fails = True
    with pytest.raises(Unreachable):
        await lists.list(NODES)
    server.fails = False
    assert await lists.list(NODES) == ()


async def test_one_who_gives_up_takes_nothing_from_the_others():
    server = Server([{}])
    lists = Lists(server)
    one, other = asyncio.create_task(lists.list(NODES)), asyncio.create_task(lists.list(NODES))
    await asyncio.sleep(0)
    one.cancel()
    assert await other == ({},)


async def test_what_is_not_wanted_is_not_kept():
    server = Server([{"a": 1}, {"a": 2}])
    lists = Lists(server)
    assert await lists.list(PODS, kept=Kept("one", lambda item: item["a"] == 1)) == ({"a": 1},)
    assert await lists.list(PODS, kept=Kept("two", lambda item: item["a"] == 2)) == ({"a": 2},)
    assert server.reads == 2


def node(name, *, gpus, beat):
    condition = {"type": "Ready", "status": "True", "lastHeartbeatTime": beat}
    return {
        "metadata": {"uid": name, "resourceVersion": beat},
        "status": {"allocatable": {"nvidia.com/gpu": gpus}, "conditions": [condition]},
    }


async def test_what_has_not_changed_is_the_very_object_that_it_was(clock):
    passed = await clock()
    server = Server([node("a", gpus="8", beat="1"), node("b", gpus="8", beat="1")])
    lists = Lists(server)
    first = await lists.list(NODES)

    server.items = [node("a", gpus="8", beat="2"), node("b", gpus="8", beat="2")]
    passed[0] += FRESH + 1
    assert await lists.list(NODES) is first, "nodes say every few seconds that they are there"

    server.fails = True
    passed[0] += FRESH + 1
    with pytest.raises(Unreachable):
        await lists.list(NODES)
    server.fails = False
    server.items = [node("a", gpus="8", beat="3"), node("b", gpus="7", beat="3")]
    changed = await lists.list(NODES)
    assert changed[0] is first[0]
    assert changed[1] == server.items[1]
    assert server.reads == 4
