// A Hono application with @hono/prometheus as its README sets it up.
const { serve } = require("@hono/node-server");
const { prometheus } = require("@hono/prometheus");
const { Hono } = require("hono");

const app = new Hono();
const { printMetrics, registerMetrics } = prometheus();
app.use("*", registerMetrics);
app.get("/metrics", printMetrics);
app.get("/tools", (c) => c.text("tools"));
app.get("/slow", (c) => new Promise((done) => setTimeout(() => done(c.text("slow")), 350)));
app.get("/broken", () => {
  throw new Error("broken");
});
app.get("/refused", (c) => c.text("refused", 503));
app.get("/ready", (c) => c.text("ready"));

serve({ fetch: app.fetch, port: Number(process.env.PORT), hostname: "127.0.0.1" });
