// A net/http application that is instrumented as in the example of promhttp's documentation: one counter for all handlers, and a histogram
// to which each handler's name is curried. Its pool of at most five connections is shown by the collector of client_golang.
package main

import (
	"context"
	"database/sql"
	"log"
	"net/http"
	"os"
	"time"

	_ "github.com/lib/pq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

var (
	inFlightGauge = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "in_flight_requests",
		Help: "A gauge of requests currently being served by the wrapped handler.",
	})
	counter = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "api_requests_total",
		Help: "A counter for requests to the wrapped handler.",
	}, []string{"code", "method"})
	duration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "request_duration_seconds",
		Help:    "A histogram of latencies for requests.",
		Buckets: []float64{.25, .5, 1, 2.5, 5, 10},
	}, []string{"handler", "method"})
)

func handle(path string, name string, handler http.HandlerFunc) {
	http.Handle(path, promhttp.InstrumentHandlerInFlight(inFlightGauge,
		promhttp.InstrumentHandlerDuration(duration.MustCurryWith(prometheus.Labels{"handler": name}),
			promhttp.InstrumentHandlerCounter(counter, handler))))
}

func main() {
	db, err := sql.Open("postgres", os.Getenv("DATABASE_URL")+"?sslmode=disable")
	if err != nil {
		log.Fatal(err)
	}
	db.SetMaxOpenConns(5)
	// Held while the pages are saved; /tools leaves a third one idle.
	for i := 0; i < 2; i++ {
		if _, err := db.Conn(context.Background()); err != nil {
			log.Fatal(err)
		}
	}
	prometheus.MustRegister(inFlightGauge, counter, duration, collectors.NewDBStatsCollector(db, "tools"))

	handle("/tools", "tools", func(w http.ResponseWriter, r *http.Request) {
		if _, err := db.Exec("select 1"); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Write([]byte("tools"))
	})
	handle("/slow", "slow", func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(350 * time.Millisecond)
		w.Write([]byte("slow"))
	})
	handle("/broken", "broken", func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "broken", http.StatusInternalServerError)
	})
	handle("/refused", "refused", func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "refused", http.StatusServiceUnavailable)
	})
	handle("/ready", "ready", func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte("ready"))
	})
	// Where no other pattern takes a request, this one does.
	handle("/", "missing", http.NotFound)
	http.Handle("/metrics", promhttp.Handler())
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}
