"""A Flask application with OpenTelemetry's instrumentation of Flask and SQLAlchemy and its Prometheus exporter, without its collector."""

import os

from flask import Flask
from opentelemetry import metrics
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import start_http_server
from routes_flask import answer
from sqlalchemy import create_engine, text

# The page is served on a port of its own, as the exporter's documentation does.
start_http_server(port=int(os.environ["METRICS_PORT"]), addr="127.0.0.1")
metrics.set_meter_provider(MeterProvider(metric_readers=[PrometheusMetricReader()]))

# Two of at most five connections are held while the pages are saved, and /tools leaves one idle.
engine = create_engine(os.environ["DATABASE_URL"].replace("postgresql:", "postgresql+psycopg:"), pool_size=5, max_overflow=0)
SQLAlchemyInstrumentor().instrument(engine=engine)
held = [engine.connect(), engine.connect()]

app = Flask(__name__)
FlaskInstrumentor().instrument_app(app)


def tools():
    with engine.connect() as connection:
        connection.execute(text("select 1"))
    return "tools"


answer(app, tools)
