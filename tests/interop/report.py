"""Collects the results and prints them as tables."""

from collections import Counter


class Report:
    """Each cell counts equal results. Unexpected results are also listed below the tables."""

    def __init__(self):
        self.tables = {}
        self.passed = 0
        self.failures = []

    def add(self, table, row, column, expected, got, label="ok"):
        """`row` is the case and the expected result; `label` is shown in the cell if the result is as expected."""
        cells = self.tables.setdefault(table, {}).setdefault(row, {}).setdefault(column, Counter())
        if got == expected:
            self.passed += 1
            cells[label] += 1
        else:
            cells["FAILED"] += 1
            self.failures.append(f"{table}: {column}: {', '.join(row)}: expected {expected}, got {got}")

    def fail(self, failure):
        self.failures.append(failure)

    def print_tables(self):
        for table, rows in self.tables.items():
            columns = list(dict.fromkeys(column for cells in rows.values() for column in cells))
            lines = [["case", "", *columns]]
            for row, cells in rows.items():
                texts = [", ".join(f"{n} {label}" for label, n in cells.get(column, {}).items()) for column in columns]
                lines.append([*row, *(text or "-" for text in texts)])
            widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
            print(f"\n{table}")
            for line in lines:
                print("  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())

    def print_end(self):
        print()
        for failure in self.failures:
            print(f"FAILED: {failure}")
        print(f"interop: {self.passed} passed, {len(self.failures)} failed")
