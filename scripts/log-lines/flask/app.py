"""A Flask application with SQLAlchemy and psycopg2 whose views fail in the ways that matter."""

import os

from flask import Flask
from sqlalchemy import create_engine, text

engine = create_engine(os.environ["DATABASE_URL"].replace("postgresql:", "postgresql+psycopg2:"), pool_size=1, max_overflow=0, pool_timeout=0.1)
app = Flask(__name__)


def sql(statement):
    with engine.begin() as connection:
        connection.execute(text(statement))
    return "done"


@app.get("/tools")
def tools():
    return sql("select 1")


@app.get("/twice")
def twice():
    return sql("insert into tools values (1)")


@app.get("/absent")
def absent():
    return sql("select * from nothing")


@app.get("/denied")
def denied():
    return sql("select * from pg_authid")


@app.get("/late")
def late():
    return sql("select pg_sleep(5)")


@app.get("/crowded")
def crowded():
    with engine.connect():
        return sql("select 1")


@app.get("/broken")
def broken():
    raise RuntimeError("broken")
