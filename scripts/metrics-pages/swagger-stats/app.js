// An Express application with swagger-stats as its README sets it up. Its page is at /swagger-stats/metrics.
const express = require("express");
const swStats = require("swagger-stats");

const app = express();
app.use(swStats.getMiddleware({}));

app.get("/tools", (request, response) => response.send("tools"));
app.get("/slow", (request, response) => setTimeout(() => response.send("slow"), 350));
app.get("/broken", () => {
  throw new Error("broken");
});
app.get("/refused", (request, response) => response.status(503).send("refused"));
app.get("/ready", (request, response) => response.send("ready"));

app.listen(process.env.PORT, "127.0.0.1");
