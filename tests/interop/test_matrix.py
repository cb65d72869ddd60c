"""Every row of the matrix lives its whole life; see rhp.lab.interop for what each step claims."""

import pytest

from rhp.lab.errors import LabError
from rhp.lab.interop import ROWS

pytestmark = pytest.mark.interop


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.initiator}-{row.auth}-{row.suite.name.split(',')[0]}")
def test_row(matrix, record, row):
    for step, act in matrix.steps(row).items():
        try:
            act()
        except LabError as error:
            record(row, step, "FAILED")
            pytest.fail(f"{step}: {error}\n--- rhp\n{matrix.node.process.tail(25)}\n--- charon\n{matrix.swan.tail(25)}")
        record(row, step, "ok")
