"""Sends the traffic between which the pages are saved, and saves them.

    traffic.py NAME PORT PAGES [METRICS_PORT [METRICS_PATH]]

The first page is saved before anything was asked for: that of a process that has just begun. Part 1 warms the application up, so that every
series that matters is on the page already and the difference of the other two pages is what part 2 sent. Requests go one after another:
these pages are about names and labels, and a small page is easier to read.
"""

import http.client
import pathlib
import socket
import sys
import time

PART_1 = [("/tools", 10), ("/slow", 1), ("/broken", 2), ("/missing", 1), ("/ready", 5)]
# Enough slow ones for the 95th of 100 to be one of them, whether what is no traffic is counted or not.
PART_2 = [("/tools", 40), ("/slow", 8), ("/broken", 3), ("/refused", 2), ("/missing", 5), ("/ready", 20)]
ANSWERS = {"/tools": 200, "/slow": 200, "/missing": 404, "/broken": 500, "/refused": 503, "/ready": 200}


def wait_for(port):
    """Waits until somebody listens. A bare connection and not a request: a request would be counted by the library."""
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    sys.exit(f"nothing listens on port {port}")


def get(port, path, headers={}):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, body


def send(port, part):
    for path, times in part:
        for _ in range(times):
            status, _ = get(port, path)
            if status != ANSWERS[path]:
                sys.exit(f"{path} answered {status} and not {ANSWERS[path]}")


def save(port, path, file):
    # What is asked for is the classic text format; some libraries answer with OpenMetrics where they may.
    status, body = get(port, path, {"Accept": "text/plain;version=0.0.4"})
    if status != 200:
        sys.exit(f"{path} answered {status}")
    file.write_bytes(body)


def main():
    name, port, pages = sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[3])
    metrics_port = int(sys.argv[4]) if len(sys.argv) > 4 else port
    metrics_path = sys.argv[5] if len(sys.argv) > 5 else "/metrics"
    wait_for(port)
    wait_for(metrics_port)
    save(metrics_port, metrics_path, pages / f"{name}.fresh.txt")
    for part, when in (PART_1, "before"), (PART_2, "after"):
        send(port, part)
        # A request may be counted only after its answer was sent.
        time.sleep(0.5)
        save(metrics_port, metrics_path, pages / f"{name}.{when}.txt")


main()
