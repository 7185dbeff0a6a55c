"""Addresses of the cost reports."""

from django.urls import path

from accounts.reports import views

app_name = "reports"
urlpatterns = [
    path("", views.costs, name="costs"),
    path("costs.csv", views.costs_csv, name="costs_csv"),
    path("records/", views.record_list, name="records"),
    path("records.csv", views.records_csv, name="records_csv"),
    path("records/<uuid:pk>/", views.record, name="record"),
]
