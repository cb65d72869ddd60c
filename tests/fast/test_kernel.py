import pytest

from rhp._fast.kernel import spoils_equal_trains


@pytest.mark.parametrize("release", ["7.0.0", "7.0-rc3", "7.0.12-1-amd64", "7.1", "7.1.4", "7.1.4+deb14-cloud-arm64"])
def test_a_release_that_spoils_trains(release):
    assert spoils_equal_trains(release)


@pytest.mark.parametrize(
    "release", ["6.1.0-40-amd64", "6.18.44", "6.99.99", "7.1.5", "7.2.0", "7.10.1", "17.0.0", "", "x7.1"]
)
def test_a_release_that_does_not(release):
    assert not spoils_equal_trains(release)
