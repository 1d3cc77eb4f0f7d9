// An Express application with a pool of at most five connections. Two are held while the pages are saved, and /tools leaves one idle.
const express = require("express");
const { Pool } = require("pg");

const pool = new Pool({ connectionString: process.env.DATABASE_URL, max: 5, idleTimeoutMillis: 0 });
const app = express();

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
