"""What the usual readers make of a recording: run by readers.rs.

readers.py show READER DIR     every row, in a text that Rust can make too
readers.py types DIR           what DuckDB calls the types of all columns
readers.py rewrite DIR TO      the same rows as other programs write them, with a column less and one more: TO/WAY each
"""

import math
import sys
from datetime import datetime, timezone
from pathlib import Path

import duckdb
import pandas
import pyarrow
import pyarrow.parquet

TABLES = ["lives", "gaps", "readings", "changes"]
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
# Those of which Rust makes the same text.
SHOWN = {
    "lives": "flow protocol client client_port server server_port icmp_id zone translation reply_source began_at "
    "first_packet_seen states state_at ended_at ending sight status client_packets client_bytes server_packets "
    "server_bytes weight",
    "gaps": "flow protocol client server server_port held_by armed_secs began_at began_within_us seen_from_us longer_than_us at_most_us "
    "ending weight",
    "readings": "read_at entries capacity buckets drop insert insert_failed events share followed",
    "changes": "seen_at kind what value_before value_now",
}


def rows(reader, folder, table):
    pattern = f"{folder}/{table}/*.parquet"
    if reader == "duckdb":
        # Without quotes: no column's name may be a word that SQL keeps for itself.
        names = ", ".join(SHOWN[table].split())
        result = connection().execute(f"SELECT {names} FROM read_parquet('{pattern}') ORDER BY file_row_number")
        names = [column[0] for column in result.description]
        return [dict(zip(names, row)) for row in result.fetchall()]
    if reader == "pyarrow":
        return pyarrow.parquet.read_table(Path(folder) / table).to_pylist()
    return pandas.read_parquet(Path(folder) / table).to_dict("records")


def connection():
    duck = duckdb.connect()
    duck.execute("SET TimeZone = 'UTC'")
    return duck


def text(value):
    if value is None or value is pandas.NaT or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, str):
        return value
    if isinstance(value, datetime):
        elapsed = value - EPOCH
        return str((elapsed.days * 86400 + elapsed.seconds) * 1000000 + elapsed.microseconds)
    if hasattr(value, "item") and not hasattr(value, "__len__"):
        value = value.item()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, (int, float)):
        return str(value)
    return "[" + " ".join(text(pandas.Timestamp(one, tz="UTC") if "datetime64" in str(type(one)) else one) for one in value) + "]"


def show(reader, folder):
    for table in TABLES:
        for row in rows(reader, folder, table):
            print(table, *(text(row[name]) for name in SHOWN[table].split()), sep="|")


def types(folder):
    for table in TABLES:
        described = connection().execute(f"DESCRIBE SELECT * FROM read_parquet('{folder}/{table}/*.parquet')")
        for name, kind, *_ in described.fetchall():
            print(table, name, kind, sep="|")


def rewrite(folder, to):
    for way, write in WAYS.items():
        for table in TABLES:
            (Path(to) / way / table).mkdir(parents=True)
            for source in sorted((Path(folder) / table).glob("*.parquet")):
                write(str(source), str(Path(to) / way / table / source.name))


def by_duckdb(source, target):
    about = connection().execute(f"SELECT decode(key), decode(value) FROM parquet_kv_metadata('{source}')").fetchall()
    about = ", ".join("'{}': '{}'".format(key, value.replace("'", "''")) for key, value in about)
    columns = "* EXCLUDE (translation)" if "/lives/" in source else "*"
    connection().execute(
        f"COPY (SELECT 'new' AS novel, {columns} FROM read_parquet('{source}')) TO '{target}' "
        f"(FORMAT parquet, KV_METADATA {{{about}}})"
    )


def by_pyarrow(**options):
    def write(source, target):
        table = pyarrow.parquet.read_table(source, partitioning=None)
        if "translation" in table.column_names and "/lives/" in source:
            table = table.drop_columns(["translation"])
        table = table.append_column("novel", pyarrow.array(["new"] * len(table), pyarrow.string()))
        pyarrow.parquet.write_table(table, target, **options)

    return write


WAYS = {
    "duckdb": by_duckdb,
    "pyarrow": by_pyarrow(),
    "pyarrow_v2": by_pyarrow(data_page_version="2.0", compression="none", data_page_size=1000),
    "pyarrow_plain": by_pyarrow(use_dictionary=False, row_group_size=100),
}


def ask(folder, query):
    """What a query that the documents show gives, asked in a folder that has the recording."""
    import os

    os.chdir(folder)
    print(len(connection().execute(query).fetchall()))


{"show": show, "types": types, "rewrite": rewrite, "ask": ask}[sys.argv[1]](*sys.argv[2:])
