// A net/http application that is instrumented as in client_golang's example of a middleware: every handler has series of its own, told
// apart by a label that its registerer adds.
package main

import (
	"log"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

func wrap(registry prometheus.Registerer, name string, handler http.HandlerFunc) http.Handler {
	registerer := prometheus.WrapRegistererWith(prometheus.Labels{"handler": name}, registry)
	requestsTotal := promauto.With(registerer).NewCounterVec(prometheus.CounterOpts{
		Name: "http_requests_total",
		Help: "Tracks the number of HTTP requests.",
	}, []string{"method", "code"})
	requestDuration := promauto.With(registerer).NewHistogramVec(prometheus.HistogramOpts{
		Name:    "http_request_duration_seconds",
		Help:    "Tracks the latencies for HTTP requests.",
		Buckets: prometheus.ExponentialBuckets(0.1, 1.5, 5),
	}, []string{"method", "code"})
	requestSize := promauto.With(registerer).NewSummaryVec(prometheus.SummaryOpts{
		Name: "http_request_size_bytes",
		Help: "Tracks the size of HTTP requests.",
	}, []string{"method", "code"})
	responseSize := promauto.With(registerer).NewSummaryVec(prometheus.SummaryOpts{
		Name: "http_response_size_bytes",
		Help: "Tracks the size of HTTP responses.",
	}, []string{"method", "code"})
	return promhttp.InstrumentHandlerCounter(requestsTotal,
		promhttp.InstrumentHandlerDuration(requestDuration,
			promhttp.InstrumentHandlerRequestSize(requestSize,
				promhttp.InstrumentHandlerResponseSize(responseSize, handler))))
}

func main() {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	answer := func(text string, status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			w.Write([]byte(text))
		}
	}
	http.Handle("/tools", wrap(registry, "/tools", answer("tools", http.StatusOK)))
	http.Handle("/slow", wrap(registry, "/slow", func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(350 * time.Millisecond)
		w.Write([]byte("slow"))
	}))
	http.Handle("/broken", wrap(registry, "/broken", answer("broken", http.StatusInternalServerError)))
	http.Handle("/refused", wrap(registry, "/refused", answer("refused", http.StatusServiceUnavailable)))
	http.Handle("/ready", wrap(registry, "/ready", answer("ready", http.StatusOK)))
	// Where no other pattern takes a request, this one does.
	http.Handle("/", wrap(registry, "/", http.NotFound))
	page := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	http.Handle("/metrics", wrap(registry, "/metrics", page.ServeHTTP))
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}
