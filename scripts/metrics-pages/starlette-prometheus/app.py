"""A FastAPI application with starlette-prometheus as its README sets it up."""

from fastapi import FastAPI
from routes_fastapi import answer
from starlette_prometheus import PrometheusMiddleware, metrics

app = FastAPI()
app.add_middleware(PrometheusMiddleware)
app.add_route("/metrics", metrics)
answer(app)
