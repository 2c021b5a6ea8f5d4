"""Monthly figures as a table."""

import csv
import io
from functools import lru_cache


class Report:
    def __init__(self, store):
        self._store = store

    @lru_cache(maxsize=None)
    def month(self, year, month):
        return self._store.totals(year, month)

    def rows(self, year):
        names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        totals = [self.month(year, number) for number in range(1, 13)]
        for name, total in zip(names, totals):
            yield name, total

    def as_csv(self, year):
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(["month", "total"])
        for name, total in self.rows(year):
            writer.writerow([name, "%.2f" % total])
        return out.getvalue()

    def growth(self, year):
        rows = list(self.rows(year))
        changes = {
            "first": rows[0][1],
            "last": rows[-1][1],
            "first": rows[0][0],
        }
        square = lambda x: x * x
        return changes, square(rows[-1][1] - rows[0][1])
