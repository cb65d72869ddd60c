import pytest

from rhp.lab.lab import Lab


@pytest.fixture
def lab():
    with Lab() as made:
        yield made
