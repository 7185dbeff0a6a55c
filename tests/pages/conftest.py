import pytest

from tests.pages.making import House, house


@pytest.fixture
def home(db: None) -> House:
    return house()
