"""Times that a query asks for: "yesterday", "last week", "2023-05", "in May". A few, in English and ISO."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import attrs

_NAMES = "january february march april may june july august september october november december"
MONTHS = _NAMES.split()
_MONTH = "|".join(MONTHS)
_ISO = re.compile(r"\b(\d{4})-(\d{1,2})(?:-(\d{1,2}))?\b")
_AGO = re.compile(r"\b(\d{1,3}) (day|week|month|year)s? ago\b")
_LAST = re.compile(r"\b(last|this|past) (week|month|year)\b")
_DAY = re.compile(r"\b(today|yesterday)\b")
_DAY_OF_MONTH = re.compile(
    rf"\b(?:(\d{{1,2}})(?:st|nd|rd|th)?(?: of)? ({_MONTH})|({_MONTH}) (\d{{1,2}})(?:st|nd|rd|th)?\b(?!\d))"
    r",? ?(\d{4})?\b"
)
_IN_MONTH = re.compile(rf"\b(?:in|of|during|since|last|this) ({_MONTH}),? ?(\d{{4}})?\b|\b({_MONTH}),? (\d{{4}})\b")
_YEAR = re.compile(r"\b(?:in|of|during) (\d{4})\b")


@attrs.frozen
class Span:
    """From a time up to, and without, another; seconds since 1970."""

    begin: float
    end: float
    #: the words of the query that say so
    said: str

    def __contains__(self, at: float) -> bool:
        return self.begin <= at < self.end


def asked_for(query: str, now: datetime) -> Span | None:
    """The time that a query asks for, reckoned from `now`; None if it asks for none. Never raises."""
    text = query.casefold()
    for pattern, read in _READERS:
        if found := pattern.search(text):
            try:
                begin, end = read(found, now.astimezone(UTC).date())
                return Span(_seconds(begin), _seconds(end), found[0])
            except (ValueError, OverflowError):  # the 31st of February, the year 0
                continue
    return None


def _iso(found: re.Match[str], _: date) -> tuple[date, date]:
    year, month, day = found.groups()
    if day:
        return _days(date(int(year), int(month), int(day)), 1)
    return _month(int(year), int(month))


def _ago(found: re.Match[str], today: date) -> tuple[date, date]:
    number, unit = int(found[1]), found[2]
    days = {"day": 1, "week": 7, "month": 30, "year": 365}[unit]
    width = {"day": 0, "week": 3, "month": 15, "year": 183}[unit]
    middle = today - timedelta(days=number * days)
    return middle - timedelta(days=width), middle + timedelta(days=width + 1)


def _last(found: re.Match[str], today: date) -> tuple[date, date]:
    which, unit = found.groups()
    match unit:
        case "week":
            monday = today - timedelta(days=today.weekday())
            # on a Monday "last week" can be said of the last days as well: what is near counts
            return _days(monday, 7) if which == "this" else _days(today - timedelta(days=13), 14)
        case "month":
            first = today.replace(day=1)
            return _month(first.year, first.month) if which == "this" else _days(today - timedelta(days=60), 61)
        case _:
            year = today.year if which == "this" else today.year - 1
            return date(year, 1, 1), date(year + 1, 1, 1)


def _day(found: re.Match[str], today: date) -> tuple[date, date]:
    return _days(today if found[1] == "today" else today - timedelta(days=1), 1)


def _day_of_month(found: re.Match[str], today: date) -> tuple[date, date]:
    day, month, other_month, other_day, year = found.groups()
    number = MONTHS.index(month or other_month) + 1
    return _days(date(_year_of(number, year, today), number, int(day or other_day)), 1)


def _in_month(found: re.Match[str], today: date) -> tuple[date, date]:
    month, year, other_month, other_year = found.groups()
    number = MONTHS.index(month or other_month) + 1
    return _month(_year_of(number, year or other_year, today), number)


def _year(found: re.Match[str], _: date) -> tuple[date, date]:
    year = int(found[1])
    return date(year, 1, 1), date(year + 1, 1, 1)


_READERS = (
    (_ISO, _iso),
    (_AGO, _ago),
    (_LAST, _last),
    (_DAY, _day),
    (_DAY_OF_MONTH, _day_of_month),
    (_IN_MONTH, _in_month),
    (_YEAR, _year),
)


def _year_of(month: int, year: str | None, today: date) -> int:
    """Without a year the last such month is meant, this one included."""
    return int(year) if year else today.year - (month > today.month)


def _month(year: int, month: int) -> tuple[date, date]:
    return date(year, month, 1), date(year + month // 12, month % 12 + 1, 1)


def _days(first: date, number: int) -> tuple[date, date]:
    return first, first + timedelta(days=number)


def _seconds(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
