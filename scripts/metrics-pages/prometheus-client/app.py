"""A Flask application that counts by hand with prometheus_client, as most tutorials do: a counter and a histogram in two hooks."""

import time

from flask import Flask, g, request
from prometheus_client import Counter, Histogram, make_wsgi_app
from routes_flask import answer
from werkzeug.middleware.dispatcher import DispatcherMiddleware

REQUESTS = Counter("http_requests_total", "Total HTTP requests", ["method", "endpoint", "status"])
DURATION = Histogram("http_request_duration_seconds", "HTTP request latency in seconds", ["method", "endpoint"])

app = Flask(__name__)
app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/metrics": make_wsgi_app()})


@app.before_request
def begin():
    g.began = time.perf_counter()


@app.after_request
def count(response):
    endpoint = request.endpoint or "unknown"
    REQUESTS.labels(request.method, endpoint, response.status_code).inc()
    DURATION.labels(request.method, endpoint).observe(time.perf_counter() - g.began)
    return response


answer(app)
