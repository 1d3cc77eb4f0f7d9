// An Express application with express-prom-bundle as its README sets it up. Its defaults label neither route nor method; with ROUTES
// set it is told to, as the first example of the README does.
const express = require("express");
const promBundle = require("express-prom-bundle");

const app = express();
app.use(process.env.ROUTES ? promBundle({ includeMethod: true, includePath: true }) : promBundle({}));

app.get("/tools", (request, response) => response.send("tools"));
app.get("/slow", (request, response) => setTimeout(() => response.send("slow"), 350));
app.get("/broken", () => {
  throw new Error("broken");
});
app.get("/refused", (request, response) => response.status(503).send("refused"));
app.get("/ready", (request, response) => response.send("ready"));

app.listen(process.env.PORT, "127.0.0.1");
