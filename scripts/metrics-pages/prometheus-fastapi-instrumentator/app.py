"""A FastAPI application with prometheus-fastapi-instrumentator as its README sets it up."""

from fastapi import FastAPI
from prometheus_fastapi_instrumentator import Instrumentator
from routes_fastapi import answer

app = FastAPI()
Instrumentator().instrument(app).expose(app)
answer(app)
