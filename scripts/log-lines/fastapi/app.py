"""A FastAPI application with asyncpg whose routes fail in the ways that matter."""

import os

import asyncpg
from fastapi import FastAPI

app = FastAPI()

STATEMENTS = {
    "tools": "select 1",
    "twice": "insert into tools values (1)",
    "absent": "select * from nothing",
    "denied": "select * from pg_authid",
    "late": "select pg_sleep(5)",
}


@app.get("/broken")
async def broken():
    raise RuntimeError("broken")


@app.get("/{name}")
async def sql(name: str):
    connection = await asyncpg.connect(os.environ["DATABASE_URL"])
    try:
        await connection.execute(STATEMENTS[name])
    finally:
        await connection.close()
    return "done"
