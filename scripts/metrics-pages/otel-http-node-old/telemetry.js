// The same as otel-http-node with the last releases that have the old names of the HTTP metrics by default. Loaded before the application
// (node --require), as its documentation says.
const { PrometheusExporter } = require("@opentelemetry/exporter-prometheus");
const { ExpressInstrumentation } = require("@opentelemetry/instrumentation-express");
const { HttpInstrumentation } = require("@opentelemetry/instrumentation-http");
const { PgInstrumentation } = require("@opentelemetry/instrumentation-pg");
const { NodeSDK, tracing } = require("@opentelemetry/sdk-node");

const exporter = new PrometheusExporter({ port: Number(process.env.METRICS_PORT), host: "127.0.0.1" });
new NodeSDK({
  // Else target_info tells on which machine, in which folder and by whom the page was made.
  autoDetectResources: false,
  // Nothing is to be sent anywhere: only the page is wanted. Without any processor of spans there would be no route on the page.
  spanProcessors: [new tracing.NoopSpanProcessor()],
  logRecordProcessors: [],
  metricReader: exporter,
  instrumentations: [new HttpInstrumentation(), new ExpressInstrumentation(), new PgInstrumentation()],
}).start();
