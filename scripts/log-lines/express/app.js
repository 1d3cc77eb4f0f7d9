// An Express application whose routes fail in the ways that matter, with `pg` by itself and with what is built on it.
const express = require("express");
const { Pool } = require("pg");
const knex = require("knex");
const { Sequelize, DataTypes } = require("sequelize");
const { DataSource } = require("typeorm");

const url = process.env.DATABASE_URL;
const pool = new Pool({ connectionString: url });
// An idle connection that breaks would end the process.
pool.on("error", (error) => console.error(error));
const byKnex = knex({ client: "pg", connection: url, pool: { min: 0, max: 1 }, acquireConnectionTimeout: 200 });
const sequelize = new Sequelize(url, { logging: false, pool: { max: 1, acquire: 200 } });
const Tool = sequelize.define("tools", { id: { type: DataTypes.INTEGER, primaryKey: true } }, { timestamps: false });
const typeorm = new DataSource({ type: "postgres", url });

const app = express();
const statements = {
  tools: "select 1",
  twice: "insert into tools values (1)",
  absent: "select * from nothing",
  denied: "select * from pg_authid",
  late: "select pg_sleep(5)",
};
for (const [name, statement] of Object.entries(statements)) {
  app.get(`/${name}`, async (request, response) => response.json((await pool.query(statement)).rowCount));
  app.get(`/knex/${name}`, async (request, response) => response.json(await byKnex.raw(statement)));
  app.get(`/sequelize/${name}`, async (request, response) => response.json(await sequelize.query(statement)));
  app.get(`/typeorm/${name}`, async (request, response) => {
    if (!typeorm.isInitialized) await typeorm.initialize();
    response.json(await typeorm.query(statement));
  });
}
app.get("/sequelize/model", async (request, response) => response.json(await Tool.create({ id: 1 })));
app.get("/knex/crowded", async (request, response) => {
  const held = await byKnex.transaction();
  try {
    response.json(await byKnex.raw("select 1"));
  } finally {
    await held.rollback();
  }
});
app.get("/broken", () => {
  throw new Error("broken");
});
// Nobody waits for it: the process ends.
app.get("/rejected", (request, response) => {
  Promise.reject(new Error("rejected"));
  response.send("done");
});

app.listen(process.env.PORT, "127.0.0.1", () => console.log(`Server listening on http://127.0.0.1:${process.env.PORT}`));
