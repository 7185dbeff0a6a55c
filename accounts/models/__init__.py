"""The rows of the accounts room: who may call, at what price, and what was spent."""

from accounts.models.budgets import Budget, BudgetAlert, BudgetHold, BudgetLease
from accounts.models.keys import ApiKey, KeyRequest
from accounts.models.ledger import (
    Adjustment,
    AttemptRecord,
    BilledOnce,
    DailyTotal,
    LedgerQuarantine,
    RequestRecord,
    TagTotal,
)
from accounts.models.prices import Price
from accounts.models.repricing import Repricing
from accounts.models.seals import LedgerDay, LedgerLease, LedgerLink
from accounts.models.teams import Membership, Team

__all__ = [
    "Adjustment",
    "ApiKey",
    "AttemptRecord",
    "BilledOnce",
    "Budget",
    "BudgetAlert",
    "BudgetHold",
    "BudgetLease",
    "DailyTotal",
    "KeyRequest",
    "LedgerDay",
    "LedgerLease",
    "LedgerLink",
    "LedgerQuarantine",
    "Membership",
    "Price",
    "Repricing",
    "RequestRecord",
    "TagTotal",
    "Team",
]
