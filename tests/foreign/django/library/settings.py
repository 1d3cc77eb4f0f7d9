"""Settings of the lending library.

An instance is configured by one file of KEY=VALUE lines, whose path is in APP_ENV. The environment wins over the file, so that a command
can be pointed elsewhere: DB=postgres DATABASE_URL=... python manage.py migrate.
"""

import os
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

BASE_DIR = Path(__file__).resolve().parent.parent


def configuration():
    """The file of this instance, overlaid by the environment."""
    lines = Path(os.environ["APP_ENV"]).read_text().splitlines() if "APP_ENV" in os.environ else []
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return {**{key.strip(): value.strip() for key, value in pairs}, **os.environ}


def postgres(url):
    """A libpq URL as Django's database settings."""
    parts = urlsplit(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": parts.port or "",
        "OPTIONS": {"application_name": f"library-{CONFIG.get('INSTANCE', 'shell')}", **dict(parse_qsl(parts.query))},
        "CONN_MAX_AGE": 60,
    }


def sqlite(file):
    """A SQLite file in WAL mode."""
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": file,
        "OPTIONS": {"timeout": 5, "init_command": "PRAGMA journal_mode=WAL"},
    }


CONFIG = configuration()
SECRET_KEY = CONFIG.get("SECRET_KEY", "only for commands that sign nothing")
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "library.urls"
WSGI_APPLICATION = "library.wsgi.application"
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# While this file is there, nothing is written.
MAINTENANCE_FILE = CONFIG.get("MAINTENANCE_FILE", "")
# Who knows it may write all the same.
PROBE_TOKEN = CONFIG.get("PROBE_TOKEN", "")

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "lending",
]
MIDDLEWARE = [
    "lending.maintenance.Maintenance",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]

DATABASES = {
    "default": postgres(CONFIG["DATABASE_URL"]) if CONFIG.get("DB") == "postgres" else sqlite(CONFIG.get("SQLITE_FILE", "library.sqlite3"))
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"stderr": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
}
