"""System tables: schema `system` and `information_schema`, made from a snapshot for a statement that uses them.

The snapshot is taken in the event loop, the tables are built in the thread that runs the statement. In `_internal`
there is what concerns the cluster (nodes, databases, tokens), in any other database what concerns that one.
"""
import json

from .replica import quote

NODE_COLUMNS = ("node_id TEXT, node_catalog_id INTEGER, instance_id TEXT, mode JSONLIST, core_count INTEGER, "
                "state TEXT, updated_at INTEGER, cli_params TEXT, conn_info TEXT")
TABLES = {
    "databases": "database_name TEXT, retention_period TEXT",
    "nodes": NODE_COLUMNS,
    "tokens": "token_id INTEGER, name TEXT, created_at TEXT, permissions TEXT",
    "queries": "query_type TEXT, query_text TEXT, issue_time TIME",
    "processing_engine_triggers": "trigger_name TEXT, plugin_filename TEXT, trigger_specification TEXT, "
                                  "disabled BOOLEAN, node_spec TEXT",
    "pt_compaction_active_jobs": "job_id INTEGER, node_id TEXT",
    "pt_compaction_deferred_snapshots": "snapshot_id INTEGER, node_id TEXT",
}
TAG = "Dictionary(Int32, Utf8)"
DATA_TYPES = {"TEXT": "Utf8", "TAGTEXT": TAG, "REAL": "Float64", "INTEGER": "Int64", "UBLOB": "UInt64",
              "BOOLEAN": "Boolean", "TIME": "Timestamp(Nanosecond, None)"}


def snapshot(node, database):
    """{table: rows} as the node knows them now."""
    internal = database == "_internal"
    rows = {"queries": list(node.recent_queries), "pt_compaction_active_jobs": [],
            "pt_compaction_deferred_snapshots": []}
    if internal:
        rows["databases"] = [(name, record["retention_period"]) for name, record in node.catalog.all("database")]
        rows["nodes"] = [node_row(name, number, record)
                         for number, (name, record) in enumerate(node.catalog.all("node"))]
        rows["tokens"] = [(record["id"], name, record["created_at"], json.dumps(record["permissions"] or "*:*:*"))
                          for name, record in node.catalog.all("token")]
    rows["processing_engine_triggers"] = [
        (record["trigger_name"], record["plugin_filename"], record["trigger_specification"], record["disabled"],
         record["node_spec"])
        for name, record in node.catalog.all("trigger") if internal or record["db"] == database]
    return rows


def node_row(name, number, record):
    return (name, number, record["instance_id"], json.dumps(record["mode"]), record["core_count"],
            record["state"], record["updated_at"], json.dumps(record["cli_params"]), None)


def attach_system_tables(connection, rows_by_table, replica, sql):
    """Creates the schemas that a statement names. `replica` gives the user tables, if there is one attached as iox."""
    text = sql.lower()
    if "system" in text:
        attach_system(connection, rows_by_table)
    if "information_schema" in text:
        attach_information_schema(connection, rows_by_table, replica)


def attach_system(connection, rows_by_table):
    connection.execute("ATTACH ':memory:' AS system")
    for table, rows in rows_by_table.items():
        connection.execute(f"CREATE TABLE system.{table} ({TABLES[table]})")
        marks = ", ".join("?" * (TABLES[table].count(",") + 1))
        connection.executemany(f"INSERT INTO system.{table} VALUES ({marks})", rows)


def attach_information_schema(connection, rows_by_table, replica):
    connection.execute("ATTACH ':memory:' AS information_schema")
    connection.execute("CREATE TABLE information_schema.tables (table_catalog TEXT, table_schema TEXT, "
                       "table_name TEXT, table_type TEXT)")
    connection.execute("CREATE TABLE information_schema.columns (table_catalog TEXT, table_schema TEXT, "
                       "table_name TEXT, column_name TEXT, data_type TEXT)")
    tables = [("public", "system", table, "BASE TABLE") for table in rows_by_table]
    columns = []
    if replica is not None:
        for (name,) in connection.execute("SELECT name FROM iox.sqlite_master WHERE type = 'view'").fetchall():
            tables.append(("public", "iox", name, "BASE TABLE"))
            for column in connection.execute(f"PRAGMA iox.table_info({quote(name)})").fetchall():
                columns.append(("public", "iox", name, column[1], DATA_TYPES.get(column[2], column[2])))
    connection.executemany("INSERT INTO information_schema.tables VALUES (?, ?, ?, ?)", tables)
    connection.executemany("INSERT INTO information_schema.columns VALUES (?, ?, ?, ?, ?)", columns)
