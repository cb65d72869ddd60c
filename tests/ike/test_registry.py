"""Tasks and their order: the payloads of a message come in the order that the RFC draws."""

from rhp.ike.tasks import registry
from rhp.ike.turn import Task
from rhp.wire.iana import ExchangeType


def names(exchange):
    registry.load()
    return [task.__name__ for _, task in registry._hooks[exchange]]


def test_order_of_ike_sa_init():
    found = names(ExchangeType.IKE_SA_INIT)
    assert found[0] == "CookieTask"
    assert found.index("InitTask") < found.index("NatDetection") < found.index("VendorTask")


def test_order_of_ike_auth():
    found = names(ExchangeType.IKE_AUTH)
    order = ["Identify", "Certificates", "Authenticate", "InitialContact", "Configure", "FirstChild"]
    assert [name for name in found if name in order] == order


def test_loading_twice_changes_nothing():
    before = names(ExchangeType.INFORMATIONAL)
    registry.load()
    assert names(ExchangeType.INFORMATIONAL) == before


def test_a_task_of_an_extension_takes_its_place():
    exchange = 240  # a private exchange type, so that no other test sees it

    @registry.hook(exchange, order=20)
    class Late(Task):
        __slots__ = ()

    @registry.hook(exchange, order=10)
    class Early(Task):
        __slots__ = ()

    try:
        assert names(exchange) == ["Early", "Late"]
    finally:
        del registry._hooks[exchange]


def test_every_task_has_slots():
    registry.load()
    for hooks in registry._hooks.values():
        for _, task in hooks:
            assert "__dict__" not in dir(task()), task
