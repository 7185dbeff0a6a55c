"""The database refuses to delete records of the ledger, but of a day whose details may go."""

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts.models import Adjustment, AttemptRecord, LedgerDay, RequestRecord
from accounts.store import books, kept, prune
from accounts.store.adjust import adjust
from accounts.store.ledger import save_entries
from tests.accounts.making import raw, settled

pytestmark = pytest.mark.django_db
TABLES = (AttemptRecord, RequestRecord, Adjustment)


@pytest.fixture
def ids() -> list[str]:
    made = [settled(), settled()]
    save_entries(raw(*made))
    adjust(RequestRecord.objects.get(pk=made[1].id), author="fay", reason="refund", delta=-5)
    return [each.id for each in made]


def delete(model: type, **where: str) -> None:
    """As SQL says it: no model, no cascade."""
    column, value = next(iter(where.items()))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {model._meta.db_table} WHERE {column} = %s", [value])  # type: ignore[attr-defined]


@pytest.mark.parametrize("model", TABLES)
def test_no_row_can_be_deleted(model: type, ids: list[str]) -> None:
    column = "id" if model is RequestRecord else "request_id"
    with pytest.raises(IntegrityError, match="stay until their day is pruned"):
        delete(model, **{column: ids[1]})
    assert model.objects.filter(**{column: ids[1]}).exists()  # type: ignore[attr-defined]


def test_a_day_that_is_sealed_is_no_exception(ids: list[str]) -> None:
    for _ in books.plan(timezone.now()):
        pass
    assert LedgerDay.objects.filter(sealed_at__isnull=False).exists()
    with pytest.raises(IntegrityError, match="pruned"):
        delete(AttemptRecord, request_id=ids[0])


def test_pruning_goes_through_and_adjustments_stay_whatever_happens(ids: list[str]) -> None:
    for _ in books.plan(timezone.now()):
        pass
    for _ in books.plan(timezone.now(), keep_days=1):
        pass
    assert list(RequestRecord.objects.values_list("pk", flat=True)) == [ids[1]]
    assert prune.due(timezone.now(), 1) == []
    with pytest.raises(IntegrityError, match="pruned"):
        delete(Adjustment, request_id=ids[1])


def test_migrating_again_puts_back_what_was_lifted(ids: list[str]) -> None:
    kept.lift(connection)
    assert kept.missing(connection) == [model._meta.db_table for model in (RequestRecord, AttemptRecord, Adjustment)]
    call_command("migrate", verbosity=0)
    assert kept.missing(connection) == []
