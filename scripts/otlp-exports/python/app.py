"""A Flask application with OpenTelemetry's instrumentation of Flask and SQLAlchemy and its exporter of OTLP over HTTP. It is asked in its own
process and exports after each of the two parts, the second time with logs too. The environment decides about names, temporality,
compression and the kind of histogram, as it would for any application."""

import logging
import os

from flask import Flask
from opentelemetry import metrics
from opentelemetry._logs import set_logger_provider
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from sqlalchemy import create_engine, text
from sqlalchemy.pool import QueuePool

reader = PeriodicExportingMetricReader(OTLPMetricExporter(), export_interval_millis=3_600_000)
metrics.set_meter_provider(MeterProvider(metric_readers=[reader]))

# Two of at most five connections are held, and /tools leaves one idle.
engine = create_engine("sqlite://", poolclass=QueuePool, pool_size=5, max_overflow=0)
SQLAlchemyInstrumentor().instrument(engine=engine)
held = [engine.connect(), engine.connect()]

app = Flask(__name__)
FlaskInstrumentor().instrument_app(app)


@app.get("/tools")
def tools():
    with engine.connect() as connection:
        connection.execute(text("select 1"))
    return "tools"


@app.get("/broken")
def broken():
    raise RuntimeError("broken")


@app.get("/refused")
def refused():
    return "refused", 503


@app.get("/ready")
def ready():
    return "ready"


client = app.test_client()


def ask(path, times):
    for _ in range(times):
        client.get(path)


ask("/tools", 10)
ask("/ready", 7)
reader.force_flush()
# Errors come for the first time, and count from zero.
ask("/tools", 40)
ask("/broken", 3)
ask("/refused", 2)
ask("/nowhere", 5)
ask("/ready", 7)
reader.force_flush()
if os.environ.get("WITH_LOGS"):
    provider = LoggerProvider()
    provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
    set_logger_provider(provider)
    log = logging.getLogger("shop")
    log.addHandler(LoggingHandler(logger_provider=provider))
    try:
        raise ConnectionError("the pool is exhausted")
    except ConnectionError:
        log.exception("request failed", extra={"http.route": "/tools"})
    log.warning("slow")
    provider.force_flush()
os._exit(0)
