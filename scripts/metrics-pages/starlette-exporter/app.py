"""A FastAPI application with starlette_exporter as its README sets it up."""

from fastapi import FastAPI
from routes_fastapi import answer
from starlette_exporter import PrometheusMiddleware, handle_metrics

app = FastAPI()
app.add_middleware(PrometheusMiddleware)
app.add_route("/metrics", handle_metrics)
answer(app)
