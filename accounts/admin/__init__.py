"""Teams, keys and money in the Django admin: the work of ops and finance."""

from accounts.admin.budgets import BudgetAdmin, BudgetAlertAdmin
from accounts.admin.keys import ApiKeyAdmin
from accounts.admin.ledger import AdjustmentAdmin, DailyTotalAdmin, LedgerDayAdmin, QuarantineAdmin
from accounts.admin.prices import PriceAdmin
from accounts.admin.records import RequestRecordAdmin
from accounts.admin.repricing import RepricingAdmin
from accounts.admin.requests import KeyRequestAdmin
from accounts.admin.teams import TeamAdmin

__all__ = [
    "AdjustmentAdmin",
    "ApiKeyAdmin",
    "BudgetAdmin",
    "BudgetAlertAdmin",
    "DailyTotalAdmin",
    "KeyRequestAdmin",
    "LedgerDayAdmin",
    "PriceAdmin",
    "QuarantineAdmin",
    "RepricingAdmin",
    "RequestRecordAdmin",
    "TeamAdmin",
]
