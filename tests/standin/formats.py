"""Result formats of the v3 query endpoints: json, jsonl, csv and pretty.

An encoder turns rows into bytes piece by piece: `begin(columns)`, `row(values)`, `end()`. Absent values are left out
of JSON objects and empty in CSV.
"""
import json

from .modes import refuse_text

CONTENT_TYPES = {
    "json": "application/json", "jsonl": "application/jsonl", "csv": "text/csv",
    "pretty": "text/plain; charset=utf-8",
}
ALIASES = {"json_lines": "jsonl", "json": "json", "jsonl": "jsonl", "csv": "csv", "pretty": "pretty",
           "parquet": "parquet"}
ACCEPTS = {"application/vnd.apache.parquet": "parquet", "text/csv": "csv", "text/plain": "pretty",
           "application/json": "json", "*/*": "json"}
ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str)


def choose(asked, accept):
    """The name of the format: what was asked for in the request beats Accept, which is compared as a whole."""
    if asked is not None:
        if asked not in ALIASES:
            raise refuse_text(400, f"serde error: unknown variant `{asked}`, expected one of `parquet`, `csv`, "
                                   "`pretty`, `json`, `jsonl`")
        name = ALIASES[asked]
    elif accept is None:
        name = "json"
    elif accept in ACCEPTS:
        name = ACCEPTS[accept]
    elif "text/html" in accept or "*/*" in accept:
        name = "json"
    else:
        raise refuse_text(400, f"invalid mime type ({accept})")
    if name == "parquet":
        raise refuse_text(400, "the stand-in does not write parquet; ask for json, jsonl, csv or pretty")
    return name


class JsonEncoder:
    """One array of objects."""

    def begin(self, columns):
        self.columns = columns
        self.prefix = b""
        return b"["

    def row(self, values):
        row = {name: value for name, value in zip(self.columns, values) if value is not None}
        line = self.prefix + ENCODER.encode(row).encode()
        self.prefix = b","
        return line

    def end(self):
        return b"]"


class JsonLinesEncoder(JsonEncoder):
    """One object a line."""

    def begin(self, columns):
        self.columns = columns
        self.prefix = b""
        return b""

    def row(self, values):
        row = {name: value for name, value in zip(self.columns, values) if value is not None}
        return ENCODER.encode(row).encode() + b"\n"

    def end(self):
        return b""


class CsvEncoder:
    """A header line, then one line a row."""

    def begin(self, columns):
        return self.row(columns)

    @staticmethod
    def cell(value):
        text = plain(value)
        return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in ',"\n\r') else text

    def row(self, values):
        return (",".join(map(self.cell, values)) + "\n").encode()

    def end(self):
        return b""


class PrettyEncoder:
    """A table drawn with lines; needs all rows before it can write the first."""

    def begin(self, columns):
        self.rows = [list(columns)]
        return b""

    def row(self, values):
        self.rows.append([plain(value) for value in values])
        return b""

    def end(self):
        if not self.rows[0]:
            return b"++\n++"
        widths = [max(map(len, column)) for column in zip(*self.rows)]
        rule = "+" + "+".join("-" * (width + 2) for width in widths) + "+"
        lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |"
                 for row in self.rows]
        return "\n".join([rule, lines[0], rule, *lines[1:], rule]).encode()


ENCODERS = {"json": JsonEncoder, "jsonl": JsonLinesEncoder, "csv": CsvEncoder, "pretty": PrettyEncoder}


def plain(value):
    """A value as text, without quotes."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value) if isinstance(value, (list, float)) else str(value)
