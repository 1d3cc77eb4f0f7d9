// A Koa application with koa-prometheus-exporter as its README sets it up, with its metrics of HTTP.
const Koa = require("koa");
const prometheus = require("@echo-health/koa-prometheus-exporter");

const app = new Koa();
app.use(prometheus.httpMetricMiddleware());
app.use(prometheus.middleware());
app.use(async (ctx) => {
  switch (ctx.path) {
    case "/tools":
    case "/ready":
      ctx.body = ctx.path.slice(1);
      break;
    case "/slow":
      await new Promise((done) => setTimeout(done, 350));
      ctx.body = "slow";
      break;
    case "/broken":
      throw new Error("broken");
    case "/refused":
      ctx.status = 503;
      ctx.body = "refused";
      break;
  }
});

app.listen(process.env.PORT, "127.0.0.1");
