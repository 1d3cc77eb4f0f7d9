// A Fastify application with fastify-metrics as its README sets it up.
const fastify = require("fastify");
const metricsPlugin = require("fastify-metrics");

async function main() {
  const app = fastify();
  await app.register(metricsPlugin.default || metricsPlugin, { endpoint: "/metrics" });
  app.get("/tools", async () => "tools");
  app.get("/slow", () => new Promise((done) => setTimeout(() => done("slow"), 350)));
  app.get("/broken", async () => {
    throw new Error("broken");
  });
  app.get("/refused", async (request, reply) => reply.code(503).send("refused"));
  app.get("/ready", async () => "ready");
  await app.listen({ port: Number(process.env.PORT), host: "127.0.0.1" });
}

main();
