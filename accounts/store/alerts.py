"""Budget alerts as rows: noticed once for each window and threshold, whoever notices, and sent until they arrive."""

from collections.abc import Iterator
from datetime import datetime, time, timedelta

from django.contrib.auth.models import User
from django.db import connection
from django.db.models import F, Q
from django.utils import timezone

from accounts.alerts import PAUSES, Letter, pause
from accounts.models import Budget, BudgetAlert, Membership
from accounts.store.rows import day_of
from accounts.store.standing import Standing, rows, standings

AT_ONCE = 20
LATE_SECONDS = 7200.0  # after midnight, in which calls of the day before may end
# A plain statement: it is asked each second, in the interpreter that the calls need.
DUE = f"SELECT 1 FROM {BudgetAlert._meta.db_table} WHERE state = 'waiting' AND due_at <= %s LIMIT 1"  # noqa: S608


def notice(at: float | None = None) -> int:
    """Write a row for each threshold that a budget has reached in its window. Returns how many are new.

    Where its amount was changed since, those of the new one are reached anew.
    A while after midnight also in the window gone by, to which calls that end only then are still booked.
    """
    now = timezone.now().timestamp() if at is None else at
    watched, moments = rows().filter(active=True).exclude(thresholds=[]), [now]
    if day_of(now - LATE_SECONDS) != day_of(now):
        moments.append(now - LATE_SECONDS)
    reached = (each for moment in moments for standing in standings(watched, moment) for each in _reached(standing))
    found = {(alert.budget_id, alert.first, alert.percent, alert.amount_nano): alert for alert in reached}
    known = set(_known(list(found.values())))
    new = [alert for key, alert in found.items() if key not in known]
    BudgetAlert.objects.bulk_create(new, ignore_conflicts=True)
    return len(new)


def claim(channels: tuple[str, ...], extra: tuple[str, ...] = ()) -> Iterator[Letter]:
    """Yield alerts that are due, each to one process only; they are due again after a while unless they are told.

    `channels` are those that are set up, `extra` the addresses that get every mail beside the team's leads.
    """
    now = timezone.now()
    if not _any_due(now):
        return
    due = BudgetAlert.objects.filter(state=BudgetAlert.State.WAITING, due_at__lte=now).order_by("due_at")
    for alert in due.select_related("budget__team", "budget__key__team")[:AT_ONCE]:
        next_at = now + timedelta(seconds=pause(alert.tries + 1) or PAUSES[-1])
        mine = BudgetAlert.objects.filter(pk=alert.pk, tries=alert.tries, state=BudgetAlert.State.WAITING)
        if not mine.update(tries=F("tries") + 1, due_at=next_at):
            continue  # another process was quicker
        letter = _letter(alert, channels, extra)
        if letter.left:
            yield letter
        else:
            BudgetAlert.objects.filter(pk=alert.pk).update(state=BudgetAlert.State.UNHEARD)


def _any_due(now: datetime) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(DUE, [connection.ops.adapt_datetimefield_value(now)])
        return cursor.fetchone() is not None


def told(id: int, taken: tuple[str, ...], trouble: str) -> None:
    """Note which channels have taken an alert, and what is wrong with the others, if anything is."""
    alert = BudgetAlert.objects.get(pk=id)
    alert.told = sorted({*alert.told, *taken})
    alert.trouble = trouble[:200]
    if not trouble:
        alert.state, alert.sent_at = BudgetAlert.State.SENT, timezone.now()
    elif pause(alert.tries) is None:
        alert.state = BudgetAlert.State.FAILED
    alert.save()


def _reached(standing: Standing) -> Iterator[BudgetAlert]:
    for percent in standing.budget.thresholds:
        if standing.percent >= percent:
            yield BudgetAlert(
                budget=standing.budget,
                first=standing.window.first,
                percent=percent,
                spent_nano=standing.spent_nano,
                amount_nano=standing.limit.amount_nano,
                due_at=timezone.now(),
            )


def _known(found: list[BudgetAlert]) -> Iterator[tuple[int, object, int, int]]:
    same = BudgetAlert.objects.filter(
        budget__in={alert.budget_id for alert in found}, first__in={alert.first for alert in found}
    )
    yield from same.values_list("budget_id", "first", "percent", "amount_nano")


def _letter(alert: BudgetAlert, channels: tuple[str, ...], extra: tuple[str, ...]) -> Letter:
    budget = alert.budget
    noon = datetime.combine(alert.first, time(12), timezone.get_default_timezone())
    resets_at = standings([budget], noon.timestamp())[0].resets_at  # of its own window, whenever it is sent
    to = tuple(sorted({*extra, *_leads(budget)}))
    able = [each for each in channels if each != "mail" or to]
    return Letter(
        id=alert.pk,
        scope=budget.scope,
        window=budget.get_window_display(),
        first=alert.first.isoformat(),
        percent=alert.percent,
        spent_nano=alert.spent_nano,
        amount_nano=alert.amount_nano,
        hard=budget.hard,
        resets_at=resets_at.isoformat() if resets_at else "",
        to=to,
        left=tuple(each for each in able if each not in alert.told),
    )


def _leads(budget: Budget) -> list[str]:
    """Mail addresses of who leads the team, and of the key's owner."""
    team = budget.team_id or (budget.key.team_id if budget.key else None)
    owner = budget.key.owner if budget.key else ""
    leads = Q(memberships__team=team, memberships__role=Membership.Role.LEAD)
    people = User.objects.filter(leads | Q(username=owner), is_active=True).exclude(email="")
    return list(people.values_list("email", flat=True).distinct())
