"""The optimizers, one by one."""

import pytest

from tests.optim.members import MEMBERS, Member


@pytest.fixture(params=sorted(MEMBERS))
def member(request: pytest.FixtureRequest) -> Member:
    return MEMBERS[request.param]
