"""An aiohttp application with aiohttp-prometheus-exporter as its README sets it up."""

import asyncio
import os

from aiohttp import web
from aiohttp_prometheus_exporter.handler import metrics
from aiohttp_prometheus_exporter.middleware import prometheus_middleware_factory


async def tools(request):
    return web.Response(text="tools")


async def slow(request):
    await asyncio.sleep(0.35)
    return web.Response(text="slow")


async def broken(request):
    raise RuntimeError("broken")


async def refused(request):
    return web.Response(text="refused", status=503)


async def ready(request):
    return web.Response(text="ready")


app = web.Application()
app.middlewares.append(prometheus_middleware_factory())
app.router.add_get("/tools", tools)
app.router.add_get("/slow", slow)
app.router.add_get("/broken", broken)
app.router.add_get("/refused", refused)
app.router.add_get("/ready", ready)
app.router.add_get("/metrics", metrics())

web.run_app(app, host="127.0.0.1", port=int(os.environ["PORT"]))
