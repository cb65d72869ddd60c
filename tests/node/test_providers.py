"""The data plane that a node's settings name: opened with its lanes, or a sentence that ends the start."""

import pytest

from rhp.node.errors import StartError
from rhp.node.providers import as_start_error, load_algorithms, load_providers, open_plane
from rhp.node.settings import NodeSettings
from rhp.spi.reference.plane import ReferencePlane


def opened(settings):
    return open_plane(load_providers(settings).esp, settings)


def test_lanes_are_those_of_the_settings():
    plane = opened(NodeSettings(esp_provider="reference", lanes=2, spare_lanes=1))
    try:
        assert isinstance(plane, ReferencePlane)
        assert (plane.lanes, plane.prepared) == (2, 3)
        with pytest.raises(StartError, match=r'keeps no order; write hub\.ordering = "off"$'), as_start_error():
            plane.set_hub(ordering="hold")
        with pytest.raises(StartError, match=r'write hub\.oversize = "fragment"$'), as_start_error():
            plane.set_hub(answer_oversized=True)
    finally:
        plane.close()
    plane = opened(NodeSettings(cpus=(0,)))
    assert (type(plane).__module__, plane.cpu(0)[0]) == ("rhp._fast.dataplane", 0)
    plane.close()


@pytest.mark.parametrize("error", [ValueError("there is no card for it"), OSError(19, "there is no card for it")])
def test_one_that_cannot_be_opened(error):
    class Provider:
        def open(self, lanes, steering, spare):
            raise error

    with pytest.raises(StartError, match=r'^the ESP provider "card" cannot be opened: .*there is no card for it$'):
        open_plane(Provider(), NodeSettings(esp_provider="card"))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (NodeSettings(esp_provider="card"), 'there is no ESP provider "card"; installed: .*fast, reference'),
        (NodeSettings(event_sinks=("nobody",)), 'there is no event sink "nobody"; installed: .*jsonl'),
    ],
)
def test_one_that_is_not_there(settings, sentence):
    with pytest.raises(StartError, match=f"^{sentence}"):
        load_providers(settings)


def test_algorithms_that_are_not_there():
    with pytest.raises(StartError, match=r'^there is no crypto provider "nobody"; installed: .*builtin'):
        load_algorithms(NodeSettings(crypto_providers=("nobody",)))
