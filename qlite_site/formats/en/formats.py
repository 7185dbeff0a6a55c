"""Dates and times as they sort, to the second and without guessing at noon; Django looks for these names here."""

DATETIME_FORMAT = "Y-m-d H:i:s"
DATE_FORMAT = "Y-m-d"
TIME_FORMAT = "H:i:s"
