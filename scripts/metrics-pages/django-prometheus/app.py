"""A Django application, with django-prometheus as its README sets it up: the two middlewares around the others."""

import django
import routes_django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import include, path

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="not a secret: this application only makes a page of metrics",
    INSTALLED_APPS=["django_prometheus"],
    MIDDLEWARE=[
        "django_prometheus.middleware.PrometheusBeforeMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django_prometheus.middleware.PrometheusAfterMiddleware",
    ],
)
django.setup()

urlpatterns = [
    path("tools", routes_django.tools, name="tools"),
    path("slow", routes_django.slow, name="slow"),
    path("broken", routes_django.broken, name="broken"),
    path("refused", routes_django.refused, name="refused"),
    path("ready", routes_django.ready, name="ready"),
    path("", include("django_prometheus.urls")),
]

application = get_wsgi_application()
