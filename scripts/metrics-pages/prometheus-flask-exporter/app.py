"""A Flask application with prometheus-flask-exporter as its README sets it up."""

from flask import Flask
from prometheus_flask_exporter import PrometheusMetrics
from routes_flask import answer

app = Flask(__name__)
PrometheusMetrics(app)
answer(app)
