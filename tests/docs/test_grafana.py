"""`docs/grafana.json`: a dashboard that Grafana takes, of metrics that there are."""

import json
import re
from itertools import combinations
from pathlib import Path

import pytest

from rhp.node.metrics.families import FAMILIES

BOARD = json.loads((Path(__file__).parents[2] / "docs" / "grafana.json").read_text())
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
TARGETS = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]
SUFFIXES = ("_bucket", "_sum", "_count")


def metric(name):
    """The family of a name in an expression, or None."""
    plain = next((name.removesuffix(one) for one in SUFFIXES if name.endswith(one)), name)
    return FAMILIES.get(name) or FAMILIES.get(plain)


@pytest.mark.parametrize(("title", "expression"), TARGETS)
def test_every_metric_in_it_exists_with_its_labels(title, expression):
    found = re.findall(r"\b(rhp_\w+)(?:\{([^}]*)\})?", expression)
    assert found
    for name, selector in found:
        family = metric(name)
        assert family is not None, name
        labels = set(re.findall(r"(\w+)=~?\"", selector))
        assert labels <= {*family.labels, "instance"}, (name, labels)
        # A counter says something only as a rate.
        if family.kind != "gauge":
            assert re.search(rf"rate\({name}\b", expression), name


def test_every_name_in_the_variables_exists():
    for variable in BOARD["templating"]["list"]:
        for name in re.findall(r"\brhp_\w+", json.dumps(variable)):
            assert metric(name) is not None


def test_what_matters_most_is_on_it():
    shown = {name for _, expression in TARGETS for name in re.findall(r"\brhp_\w+", expression)}
    assert {
        "rhp_connection_up",
        "rhp_handshake_failures_total",
        "rhp_drops_total",
        "rhp_certificate_days_left",
        "rhp_pool_leases",
        "rhp_lane_cpu_seconds_total",
    } <= shown


def test_grafana_finds_what_it_needs():
    assert BOARD["title"] and BOARD["uid"] and BOARD["schemaVersion"] >= 36
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(ids) == len(set(ids))
    for panel in PANELS:
        assert panel["title"] and panel["description"] and panel["fieldConfig"]["defaults"]["unit"]
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}
        references = [target["refId"] for target in panel["targets"]]
        assert len(references) == len(set(references))


def test_no_panel_lies_on_another():
    for one, other in combinations([panel["gridPos"] for panel in BOARD["panels"]], 2):
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert apart, (one, other)
        assert one["x"] + one["w"] <= 24
