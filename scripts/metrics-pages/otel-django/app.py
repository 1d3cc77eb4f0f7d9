"""A Django application with OpenTelemetry's instrumentation of Django and its Prometheus exporter, without its collector."""

import os

import django
import routes_django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import path
from opentelemetry import metrics
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.instrumentation.django import DjangoInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import start_http_server

# The page is served on a port of its own, as the exporter's documentation does.
start_http_server(port=int(os.environ["METRICS_PORT"]), addr="127.0.0.1")
metrics.set_meter_provider(MeterProvider(metric_readers=[PrometheusMetricReader()]))

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="not a secret: this application only makes a page of metrics",
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
)
DjangoInstrumentor().instrument()
django.setup()

urlpatterns = [
    path("tools", routes_django.tools),
    path("slow", routes_django.slow),
    path("broken", routes_django.broken),
    path("refused", routes_django.refused),
    path("ready", routes_django.ready),
]

application = get_wsgi_application()
