// An Express application that counts by hand with prom-client, as most tutorials do: one histogram, observed when the answer was sent.
const express = require("express");
const client = require("prom-client");

client.collectDefaultMetrics();
const duration = new client.Histogram({
  name: "http_request_duration_seconds",
  help: "Duration of HTTP requests in seconds",
  labelNames: ["method", "route", "code"],
});

const app = express();
app.use((request, response, next) => {
  const end = duration.startTimer();
  response.on("finish", () =>
    // No route matched where there is none to name.
    end({ method: request.method, route: request.route ? request.route.path : "unknown", code: response.statusCode }),
  );
  next();
});
app.get("/metrics", async (request, response) => {
  response.set("Content-Type", client.register.contentType);
  response.end(await client.register.metrics());
});

app.get("/tools", (request, response) => response.send("tools"));
app.get("/slow", (request, response) => setTimeout(() => response.send("slow"), 350));
app.get("/broken", () => {
  throw new Error("broken");
});
app.get("/refused", (request, response) => response.status(503).send("refused"));
app.get("/ready", (request, response) => response.send("ready"));

app.listen(process.env.PORT, "127.0.0.1");
