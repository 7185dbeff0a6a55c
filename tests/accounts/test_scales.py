"""Tiers as people write them and as they are stored."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts import scales
from accounts.prices import UNITS
from accounts.rates import Service, Tier
from accounts.scales import NotAScale

TIERS = """
above 1 000 000: input 12.5
above 200,000: input 6, cached_input 0.6, output 22.5
"""
SERVICES = """batch: 0.5
priority: input 5, output 30
flex: input 1.25
flex above 272000: input 2.5, output 11.25"""


def test_it_reads_tiers_as_people_write_them() -> None:
    assert scales.read_tiers(TIERS) == (
        Tier(200_000, {"input": 6_000_000_000, "cached_input": 600_000_000, "output": 22_500_000_000}),
        Tier(1_000_000, {"input": 12_500_000_000}),
    )
    assert scales.read_tiers(" \n") == ()


def test_it_reads_service_tiers_as_people_write_them() -> None:
    read = scales.read_services(SERVICES)
    assert read["batch"] == Service(500)
    assert read["priority"] == Service(amounts={"input": 5 * 10**9, "output": 30 * 10**9})
    assert read["flex"].tiers == (Tier(272_000, {"input": 2_500_000_000, "output": 11_250_000_000}),)
    assert scales.write_services(read) == SERVICES


@pytest.mark.parametrize(
    "line",
    [
        "input 6",
        "above: input 6",
        "above 5: inputs 6",
        "above 5: input six",
        "above 5: input 1,5",
        "above 5: input 1, input 2",
        "above 5: input -1",
        "above 5: input 0.0000000001",
        "above 5: 0.5",
        "batch: 0.5",
        "above 5: input 1\nabove 5: input 2",
    ],
)
def test_it_says_what_it_does_not_understand(line: str) -> None:
    with pytest.raises(NotAScale):
        scales.read_tiers(line)


@pytest.mark.parametrize(
    "line",
    [
        "0.5",
        "batch: 0.5x",
        "batch: 0.0005",
        "batch: 101",
        "batch: 0.5\nbatch: 0.6",
        "batch: 0.5\nbatch above 5: input 1",
    ],
)
def test_it_says_which_service_tier_it_does_not_understand(line: str) -> None:
    with pytest.raises(NotAScale):
        scales.read_services(line)


@pytest.mark.parametrize("stored", [3, [3], [{"above": 1.5, "amounts": {"input": 1}}], [{"above": 1, "amounts": {}}]])
def test_it_refuses_what_is_stored_wrong(stored: Any) -> None:
    with pytest.raises(NotAScale):
        scales.tiers_of(stored)
    with pytest.raises(NotAScale):
        scales.services_of({"batch": {"amounts": {"input": 1.5}}})


amounts = st.dictionaries(st.sampled_from(UNITS), st.integers(0, 10**15), min_size=1)
tiers = st.lists(st.builds(Tier, st.integers(0, 10**9), amounts), unique_by=lambda tier: tier.above).map(
    lambda each: tuple(sorted(each, key=lambda tier: tier.above))
)
services = st.dictionaries(
    st.sampled_from(["batch", "flex", "priority", "my-own_2"]),
    st.builds(Service, st.integers(0, 100_000)) | st.builds(Service, st.just(1000), amounts, tiers),
)


@given(tiers, services)
def test_what_is_written_is_what_is_read(tiers: tuple[Tier, ...], services: dict[str, Service]) -> None:
    assert scales.read_tiers(scales.write_tiers(tiers)) == tiers
    assert scales.read_services(scales.write_services(services)) == services
    assert scales.tiers_of(scales.as_tiers(tiers)) == tiers
    assert scales.services_of(scales.as_services(services)) == services
