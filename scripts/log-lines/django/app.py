"""A Django application in one file whose views fail in the ways that matter: by themselves, and by what PostgreSQL says."""

import os
import sys
from urllib.parse import urlsplit

import django
from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.http import HttpResponse
from django.urls import path

url = urlsplit(os.environ["DATABASE_URL"])
settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="not a secret: this application only makes a log",
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    # Without it Django sends errors by mail and prints none.
    LOGGING={
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"console": {"class": "logging.StreamHandler"}},
        "root": {"handlers": ["console"], "level": "WARNING"},
    },
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": url.hostname,
            "PORT": url.port,
            "USER": url.username,
            "NAME": url.path[1:],
        }
    },
)
django.setup()


def sql(statement):
    def view(request):
        with connection.cursor() as cursor:
            cursor.execute(statement)
        return HttpResponse("done")

    return view


def broken(request):
    raise RuntimeError("broken")


STATEMENTS = {
    "tools": "select 1",
    "twice": "insert into tools values (1)",
    "absent": "select * from nothing",
    "denied": "select * from pg_authid",
    "late": "select pg_sleep(5)",
}
urlpatterns = [path(name, sql(statement)) for name, statement in STATEMENTS.items()] + [path("broken", broken)]
application = get_wsgi_application()

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
