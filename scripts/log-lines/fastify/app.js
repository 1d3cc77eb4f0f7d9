// A Fastify application with its own logger, whose routes fail in the ways that matter.
const fastify = require("fastify");
const { Pool } = require("pg");

const app = fastify({ logger: true });
const pool = new Pool({ connectionString: process.env.DATABASE_URL });
pool.on("error", (error) => app.log.error(error));
const statements = {
  tools: "select 1",
  twice: "insert into tools values (1)",
  absent: "select * from nothing",
  denied: "select * from pg_authid",
  late: "select pg_sleep(5)",
};
for (const [name, statement] of Object.entries(statements)) {
  app.get(`/${name}`, async () => (await pool.query(statement)).rowCount);
}
app.get("/broken", async () => {
  throw new Error("broken");
});
app.listen({ port: Number(process.env.PORT), host: "127.0.0.1" });
