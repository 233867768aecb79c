"""Amazon's driver, told by JSON on standard input what to do; it answers in JSON. Every host name leads to this machine.

In:  {"connect": {...}, "steps": [["execute", "select %s", [1]], ["commit"], ...]}
Out: {"results": [...], "error": null}
"""

import json
import socket
import sys

lookup = socket.getaddrinfo


def here(host, *args, **kwargs):
    return lookup("127.0.0.1", *args, **kwargs)


socket.getaddrinfo = here

import redshift_connector  # noqa: E402


def shown(value):
    return value if value is None or isinstance(value, (bool, int)) else f"{type(value).__name__} {value}"


def run(cursor, connection, step):
    verb, *rest = step
    if verb == "execute":
        cursor.execute(*rest)
    elif verb == "many":
        cursor.executemany(*rest)
    elif verb == "autocommit":
        connection.autocommit = rest[0]
        return None
    else:
        return getattr(connection, verb)()
    if cursor.description is None:
        return cursor.rowcount
    return {
        "columns": [[str(column[0]), column[1]] for column in cursor.description],
        "rows": [[shown(value) for value in row] for row in cursor.fetchall()],
    }


def main():
    job = json.load(sys.stdin)
    results = []
    try:
        with redshift_connector.connect(**job["connect"]) as connection:
            with connection.cursor() as cursor:
                for step in job["steps"]:
                    try:
                        results.append(run(cursor, connection, step))
                    except redshift_connector.Error as error:
                        results.append({"error": type(error).__name__, "fields": error.args[0]})
                        connection.rollback()
        error = None
    except Exception as problem:
        error = {"type": type(problem).__name__, "text": str(problem)}
    json.dump({"results": results, "error": error}, sys.stdout, default=str)


main()
