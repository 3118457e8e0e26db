"""Which years does a date mean that somebody wrote down: "c.1590", "1950 - 1954", "1927 ; United States"?

Museums date in words. What is read is a range of years, whether it is sure, and what stood beside it; what cannot be
read comes back with the reason. Nothing is guessed: "date not known" has no year.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Years", "read_years"]

_FIRST, _LAST = -10_000, 2_100
_APART = re.compile(r"[;,(\[]|\s+/\s+")
_UNSURE = re.compile(
    r"(?i)\?|\b(?:c|ca|circa|about|around|approximately|approx|probably|possibly|perhaps)(?:\b|(?=\d))\.?"
)
_ACTION = re.compile(
    r"(?i)^\s*(?:(?:first|re)?[- ]?(?:published|printed|exhibited|executed|made|painted|drawn|engraved|cast|completed|"
    r"finished|begun|started|signed|dated|produced|constructed|recorded|conceived|designed|issued)|date|year)\b\s*:?\s*"
)
_UNKNOWN = re.compile(
    r"(?i)^\s*(?:[ns]\.?\s?d\.?|no date|not dated|undated|(?:date |year )?(?:is )?(?:not known|unknown)|none)\s*$"
)
_ERA = re.compile(r"(?i)\s*\b(?:(?P<before>b\.?\s?c\.?(?:\s?e\.?)?)|(?:a\.?\s?d\.?|c\.?\s?e\.?))(?!\w)\s*")
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_DAY = re.compile(
    rf"(?i)^\s*(?:(?P<iso>-?\d{{3,4}})-\d\d-\d\d(?:T.*)?|(?:\d{{1,2}}(?:st|nd|rd|th)?\s+)?{_MONTH}\s+(?P<year>\d{{3,4}})"
    rf"|{_MONTH}\s+\d{{1,2}}(?:st|nd|rd|th)?,?\s+(?P<american>\d{{3,4}})|\d{{1,2}}[./]\d{{1,2}}[./](?P<dotted>\d{{4}}))\s*$"
)
_MONTH_OF = re.compile(r"^\s*(?P<year>\d{4})-(?P<month>0[1-9]|1[0-2])\s*$")
_CENTURY = re.compile(
    r"(?i)^\s*(?P<part>early|mid|late)?[\s-]*(?:the\s+)?(?P<n>\d{1,2})(?:st|nd|rd|th)?\s+(?:century|cent\.?)\s*$"
)
_DECADE = re.compile(r"(?i)^\s*(?P<part>early|mid|late)?[\s-]*(?:the\s+)?(?P<decade>\d{2,3}0)'?s\s*$")
_SINGLE = re.compile(
    r"(?i)^\s*(?:(?:spring|summer|autumn|fall|winter|early|mid|late)(?:\s+in|\s+of)?[\s-]+)?(?P<year>-?\d{1,4})(?:\.0)?\s*$"
)
_BOUND = re.compile(r"(?i)^\s*(?P<side>before|by|until|after|from|since)\s+(?P<rest>.+)$")
_BETWEEN = re.compile(r"(?i)^\s*(?:between\s+|from\s+)")
_RANGE = re.compile(r"(?i)\s*(?:-|–|—|−|\bto\b|\band\b|\bor\b|/|&)\s*")
_LATER = re.compile(r"(?i)\s+or (?:later|earlier|after|before)\s*$")
_PARTS = {"early": (0.0, 0.4), "mid": (0.3, 0.7), "late": (0.6, 1.0), "": (0.0, 1.0)}


@dataclass(frozen=True)
class Years:
    """The years that a date means, both ends included; negative ones are before Christ."""

    first: int
    last: int
    sure: bool = True
    """False where the text says circa, before, after or a question mark."""
    beside: str = ""
    """What stood beside the date: a place, a later print, another date."""

    @property
    def year(self) -> int:
        """One year for whoever wants one: the last, when the work was done."""
        return self.last


def read_years(text: object) -> tuple[Years | None, str]:
    """The years of a date, and why it cannot be read ("" when it can).

    The first part that holds a date counts: "1927 ; United States" is 1927, with "United States" beside it.
    """
    written = " ".join(str(text).split()) if text is not None else ""
    if not written:
        return None, "it is empty"
    if _UNKNOWN.match(written):
        return None, "it says that the date is not known"
    if not re.search(r"\d", written):
        return None, "there is no number in it"
    first, *others = [part for part in _APART.split(written.strip("[]() ")) if part.strip()]
    beside = "; ".join(part.strip(" )]") for part in others)
    years = _sided(written, "") or _sided(first, beside)
    if years is None:
        return None, f"{first.strip()!r} is not a year, a range of years, a decade, a century or a day"
    return _checked(years)


def _checked(years: Years) -> tuple[Years | None, str]:
    if years.first > years.last:
        return None, f"it ends ({years.last}) before it begins ({years.first})"
    if years.first < _FIRST or years.last > _LAST:
        return None, f"{years.first} to {years.last} is outside {_FIRST} to {_LAST}"
    return years, ""


def _sided(text: str, beside: str) -> Years | None:
    """A date with all the words around it."""
    sure = not _UNSURE.search(text) and beside.strip() != "?"
    plain, later = _LATER.subn("", _ACTION.sub("", _UNSURE.sub(" ", text)))
    bound = _BOUND.match(plain)
    if bound and not (bound["side"].lower() == "from" and _RANGE.search(bound["rest"])):
        plain, later = bound["rest"], 1
    span = _span(_BETWEEN.sub("", _ACTION.sub("", plain)))
    return span and Years(*span, sure=sure and not later, beside=beside)


def _span(text: str) -> tuple[int, int] | None:
    if single := _single(text):
        return single
    month = _MONTH_OF.match(text)
    if month and int(month["month"]) <= int(month["year"]) % 100:
        return int(month["year"]), int(month["year"])  # 1990-05 is a month; 1901-12 is a range
    ends = [end for end in _RANGE.split(text) if end.strip()]
    if len(ends) != 2 or text.strip().startswith("-"):
        return None
    before = _ERA.search(ends[1])
    begin = f"{ends[0]} BC" if before and before["before"] and not _ERA.search(ends[0]) else ends[0]
    if re.search(r"(?i)century\s*$", ends[1]) and re.fullmatch(r"(?i).*\d(?:st|nd|rd|th)\s*", begin):
        begin = f"{begin.strip()} century"
    first = _single(begin)
    last = _single(_completed(ends[0], ends[1]))
    if first is None and re.fullmatch(r"(?i)\s*(early|mid|late)\s*", ends[0]):
        first = last  # "mid to late 1890s"
    return (first[0], last[1]) if first and last else None


def _completed(first: str, last: str) -> str:
    """The 54 of 1950-54 gets its century from 1950, the 4 of 1950-4 its decade, the 30s of 1720s-30s theirs."""
    begun, ended = re.search(r"(\d+)\D*$", first), re.match(r"\s*(\d+)(.*)$", last)
    if not begun or not ended or _ERA.search(last) or len(ended[1]) >= len(begun[1]) or len(begun[1]) < 3:
        return last
    return begun[1][: -len(ended[1])] + ended[1] + ended[2]


def _single(text: str, *, in_an_era: bool = False) -> tuple[int, int] | None:
    """One year, day, decade or century. A number of one or two digits is a year only where an era says so."""
    era = _ERA.search(text)
    if era and not in_an_era:
        inner = _single(_ERA.sub(" ", text), in_an_era=True)
        return (-inner[1], -inner[0]) if inner and era["before"] else inner
    if day := _DAY.match(text):
        year = int(day["iso"] or day["year"] or day["american"] or day["dotted"])
        return year, year
    if match := _SINGLE.match(text):
        year = match["year"]
        return (int(year), int(year)) if in_an_era or len(year.lstrip("-")) >= 3 else None
    if match := _DECADE.match(text):
        return _share(int(match["decade"]), 10, match["part"])
    if match := _CENTURY.match(text):
        return _share((int(match["n"]) - 1) * 100 + 1, 100, match["part"])
    return None


def _share(begin: int, length: int, part: str | None) -> tuple[int, int]:
    low, high = _PARTS[(part or "").lower()]
    return begin + round(low * length), begin + round(high * length) - 1
