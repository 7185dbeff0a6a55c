"""The admin with 5,000 routes: the list stays a page, whatever is behind it."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from routing.models import Route, Target
from tests.admin import rows

pytestmark = pytest.mark.django_db
PAGE = 50
MOST_QUERIES = 20


@pytest.mark.parametrize("query", ["", "?q=model-4", "?enabled__exact=1&p=7", "?o=-1"])
def test_the_list_of_many_routes_reads_a_page_of_them(query: str) -> None:
    providers = [rows.provider(f"p{number}") for number in range(20)]
    made = Route.objects.bulk_create([Route(name=f"model-{number}") for number in range(5000)], batch_size=500)
    targets = [Target(route=each, provider=providers[number % 20]) for number, each in enumerate(made)]
    Target.objects.bulk_create(targets, batch_size=500)
    client = rows.signed_in(rows.root())
    with CaptureQueriesContext(connection) as queries:
        page = client.get(reverse("admin:routing_route_changelist") + query)
    assert page.status_code == 200
    assert len(page.context["cl"].result_list) == PAGE
    assert len(queries) <= MOST_QUERIES
    read = [each["sql"] for each in queries if "routing_target" in each["sql"] and " IN (" in each["sql"]]
    assert len(read) == 1  # targets of the page's routes, in one go
