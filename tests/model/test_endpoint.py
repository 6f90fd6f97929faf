"""What is wrong with a webhook endpoint, tested on literals."""

import pytest
from paidup.model.endpoint import Endpoint, EndpointFault, faults

URL = "https://api.shop.example/webhooks/memory"
GOOD = Endpoint(url=URL, enabled=True)
ELSEWHERE = Endpoint(url="https://old.example/webhooks/memory", enabled=True)
DISABLED = Endpoint(url=URL, enabled=False)
DEAF = Endpoint(url=URL, enabled=True, missing=("refund",))


@pytest.mark.parametrize(
    ("endpoints", "fault"),
    [
        ([], EndpointFault.MISSING),
        ([ELSEWHERE], EndpointFault.WRONG_URL),
        ([ELSEWHERE, DISABLED], EndpointFault.DISABLED),
        ([DISABLED, DEAF], EndpointFault.EVENT_TYPES),
    ],
)
def test_the_fault_is_named(endpoints: list[Endpoint], fault: EndpointFault) -> None:
    assert faults(endpoints, URL) == (fault,)


@pytest.mark.parametrize("beside", [[], [ELSEWHERE], [DISABLED], [DEAF]])
def test_one_good_endpoint_is_enough(beside: list[Endpoint]) -> None:
    assert faults([*beside, GOOD], f"{URL}/") == ()
