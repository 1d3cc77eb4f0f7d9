// An HTTP server with OpenTelemetry's instrumentation of HTTP and its exporter of OTLP as JSON. It asks itself, and exports after each of
// the two parts. Loaded in one file, so that the instrumentation is there before the module that it instruments.
const { metrics } = require("@opentelemetry/api");
const { OTLPMetricExporter } = require("@opentelemetry/exporter-metrics-otlp-http");
const { registerInstrumentations } = require("@opentelemetry/instrumentation");
const { HttpInstrumentation } = require("@opentelemetry/instrumentation-http");
const { resourceFromAttributes } = require("@opentelemetry/resources");
const { MeterProvider, PeriodicExportingMetricReader } = require("@opentelemetry/sdk-metrics");

const reader = new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter(), exportIntervalMillis: 3_600_000 });
const provider = new MeterProvider({ readers: [reader], resource: resourceFromAttributes({ "service.instance.id": "app-1" }) });
metrics.setGlobalMeterProvider(provider);
// Only what is asked of the server: what the exporter sends would be counted otherwise.
registerInstrumentations({ instrumentations: [new HttpInstrumentation({ disableOutgoingRequestInstrumentation: true })], meterProvider: provider });

const http = require("http");
const statuses = { "/tools": 200, "/broken": 500, "/refused": 503, "/nowhere": 404 };
const server = http.createServer((request, response) => {
  response.statusCode = statuses[request.url];
  response.end();
});
const ask = (path) =>
  new Promise((done) => http.get({ host: "127.0.0.1", port: server.address().port, path }, (answer) => answer.resume().on("end", done)));

server.listen(0, "127.0.0.1", async () => {
  const send = async (path, times) => {
    for (let n = 0; n < times; n++) await ask(path);
  };
  await send("/tools", 10);
  await reader.forceFlush();
  await send("/tools", 40);
  await send("/broken", 3);
  await send("/refused", 2);
  await send("/nowhere", 5);
  await reader.forceFlush();
  process.exit(0);
});
