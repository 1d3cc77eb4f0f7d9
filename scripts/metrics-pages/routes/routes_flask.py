"""What the Flask applications answer, so that they differ in nothing but their library. /missing is not here: the router answers it."""

import time


def tools():
    return "tools"


def slow():
    time.sleep(0.35)
    return "slow"


def broken():
    raise RuntimeError("broken")


def refused():
    return "refused", 503


def ready():
    return "ready"


def answer(app, tools=tools):
    for route in (tools, slow, broken, refused, ready):
        app.get("/" + route.__name__)(route)
