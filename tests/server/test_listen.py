import pytest

from qlite_site.server.listen import listen


@pytest.mark.parametrize(
    "bind", ["", "8080", "localhost", "localhost:", "localhost:http", "localhost:99999", ":-1", "a:１"]
)
def test_it_says_what_is_wrong_with_an_address(bind: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        listen(bind)


@pytest.mark.parametrize("bind", ["127.0.0.1:0", "localhost:0", "[::1]:0", ":0"])
def test_it_listens(bind: str) -> None:
    with listen(bind) as listening:
        assert listening.getsockname()[1] > 0
