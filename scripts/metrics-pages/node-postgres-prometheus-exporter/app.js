// An Express application with node-postgres-prometheus-exporter, as its README sets it up, for a pool of at most five connections. Two are
// held while the pages are saved, and /tools leaves one idle. The requests are counted by express-prom-bundle.
const express = require("express");
const { Pool } = require("pg");
const client = require("prom-client");
const promBundle = require("express-prom-bundle");
const { monitorPgPool } = require("@christiangalsterer/node-postgres-prometheus-exporter");

// Host and database apart: with a connection string the exporter knows neither, and writes its families without any series.
const url = new URL(process.env.DATABASE_URL);
const pool = new Pool({
  host: url.hostname,
  port: Number(url.port),
  user: url.username,
  database: url.pathname.slice(1),
  max: 5,
  idleTimeoutMillis: 0,
});
monitorPgPool(pool, client.register);

const app = express();
app.use(promBundle({ includeMethod: true, includePath: true }));
app.get("/tools", async (request, response) => {
  await pool.query("select 1");
  response.send("tools");
});
app.get("/slow", (request, response) => setTimeout(() => response.send("slow"), 350));
app.get("/broken", () => {
  throw new Error("broken");
});
app.get("/refused", (request, response) => response.status(503).send("refused"));
app.get("/ready", (request, response) => response.send("ready"));

Promise.all([pool.connect(), pool.connect()]).then(() => app.listen(process.env.PORT, "127.0.0.1"));
