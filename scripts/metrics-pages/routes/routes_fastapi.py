"""What the FastAPI applications answer, so that they differ in nothing but their library. /missing is not here: the router answers it."""

import time

from fastapi import Response


def tools():
    return "tools"


def slow():
    time.sleep(0.35)
    return "slow"


def broken():
    raise RuntimeError("broken")


def refused():
    return Response("refused", status_code=503)


def ready():
    return "ready"


def answer(app, tools=tools):
    for route in (tools, slow, broken, refused, ready):
        app.get("/" + route.__name__)(route)
