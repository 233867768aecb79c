"""PostgreSQL's own client library, as psycopg brings it, told by JSON on standard input what to do; it answers in JSON.

In:  {"connect": {"host": "localhost", "max_protocol_version": "3.2", ...}, "waits": "select ..."}
Out: {"libpq": 180006, "protocol": 30000, "user": "analyst", "cancelled": ["57014", "57014"], "error": null}
"""

import json
import sys
import threading

import psycopg
from psycopg import pq

PATIENCE_S = 20


def cancelled(connection, waits, how):
    """The SQLSTATE with which a statement ends that waits until it is cancelled."""
    states = []

    def work():
        try:
            connection.execute(waits)
        except psycopg.Error as error:
            states.append(error.sqlstate)

    running = threading.Thread(target=work)
    running.start()
    for _ in range(PATIENCE_S * 5):
        running.join(0.2)
        if not running.is_alive():
            break
        how()
    running.join(PATIENCE_S)
    return states[0] if states else None


def main():
    job = json.load(sys.stdin)
    answer = {"libpq": pq.version(), "protocol": None, "user": None, "cancelled": [], "error": None}
    try:
        with psycopg.connect(autocommit=True, **job["connect"]) as connection:
            answer["protocol"] = connection.pgconn.full_protocol_version
            answer["user"] = connection.execute("select current_user").fetchone()[0]
            # PQcancel in clear and PQcancelBlocking, which takes TLS where the connection has it.
            ways = [connection.cancel_safe] if job.get("safe") else [connection.cancel, connection.cancel_safe]
            answer["cancelled"] = [cancelled(connection, job["waits"], how) for how in ways]
    except psycopg.Error as error:
        answer["error"] = str(error)
    json.dump(answer, sys.stdout)


main()
